"""The real shop under fire, for a short while: whatever is done to its processes, every promise holds.

`make chaos` does the same for ten minutes.
"""

import pytest

from tests.chaos.plan import CLOCKS, DATABASE_LINES, DATABASE_MACHINES, LINES, MACHINES
from tests.chaos.processes import FaketimeMissing, find_faketime
from tests.chaos.run import Order, run
from tests.servers import ServerMissing

SECONDS = {False: 20.0, True: 30.0}
"""Enough for every kind of fault, without a database server and with one; see `plan`."""
MET_ON_LINES = ("clients: cut", "clients: half open", "clients: held back", "clients: delayed")
MET_ON_DATABASE_LINES = ("database: cut", "database: half open", "database: held back", "database: delayed")
MISSED_LINES = 2
"""What a line carries while it is cut or dead depends on the machine: so many of them may have met no traffic."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("has_database", "seed"), [(False, 5), (True, 44)], ids=["sqlite", "postgres"])
async def test_a_shop_under_fire_keeps_every_promise(has_database: bool, seed: int) -> None:
    try:
        find_faketime()
        report = await run(
            Order(seed=seed, seconds=SECONDS[has_database], has_database=has_database, shoppers=6, steps=2)
        )
    except (FaketimeMissing, ServerMissing) as missing:
        pytest.skip(str(missing))

    print(report.text())
    assert report.violations == []
    kinds = {*MACHINES, *LINES, *CLOCKS, *(DATABASE_MACHINES if has_database else ())}
    assert report.faults.keys() >= kinds | set(DATABASE_LINES if has_database else ())
    met = [*MET_ON_LINES, *(MET_ON_DATABASE_LINES if has_database else ())]
    assert len([what for what in met if report.lines[what]]) >= len(met) - MISSED_LINES
    starts = report.noticed["the shop started"] + report.noticed["the shop could not start yet"]
    assert starts >= 2, "killed once, restarted once"
    assert report.noticed["the disk was found full"] > 0
    assert report.noticed["the database started"] >= (2 if has_database else 0)
    assert report.placed_under_fire > 0
    assert report.orders["placed"] > 0
