"""Messages under fire, for a short while, through every broker: each effect happens exactly once.

`make chaos-messages` does the same with 20,000 orders, and with a broker that is gone for a minute.
"""

import pytest

from tests.chaos.messages.brokers import BROKERS
from tests.chaos.messages.run import Order, Report, outage, run
from tests.chaos.processes import FaketimeMissing
from tests.servers import ServerMissing

ORDERS = 1_200
DOWN_S = 4.0


def judged(report: Report) -> None:
    print(report.text())
    assert report.violations == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize("broker", BROKERS)
async def test_every_effect_happens_exactly_once_whatever_dies(broker: str, postgres_dsn: str) -> None:
    try:
        report = await run(Order(broker=broker, seed=7, orders=ORDERS), dsn=postgres_dsn)
    except (FaketimeMissing, ServerMissing) as missing:
        pytest.skip(str(missing))

    judged(report)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("broker", BROKERS)
async def test_orders_go_on_without_the_broker_and_events_arrive_in_order(broker: str, postgres_dsn: str) -> None:
    try:
        report = await outage(Order(broker=broker, seed=7, orders=ORDERS), dsn=postgres_dsn, down_s=DOWN_S)
    except (FaketimeMissing, ServerMissing) as missing:
        pytest.skip(str(missing))

    judged(report)
