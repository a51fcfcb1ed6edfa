"""The public routes by which staff look for orders, handed their requests."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from hansa.kernel.channel import Channel
from hansa.kernel.principal import STAFF, Principal
from hansa.platform.http.errors import BodyInvalid
from hansa.platform.http.route import Call
from hansa.services.orders import api
from hansa.services.orders.api import StaffListQuery
from tests.clocks import START
from tests.services.orders.shop import Shop
from tests.services.orders.test_handling import bare

CALL = Call(
    principal=Principal("1", roles=(STAFF,)),
    channel=Channel(),
    locale="en",
    currency="EUR",
    key="k",
    version=None,
    remote="192.0.2.1",
    token="",
    headers={},
    correlation="",
)


async def ask(shop: Shop, route: str, **arguments: Any) -> Any:
    handlers = {one.name: one.handler for one in api.routes(shop.orders)}
    return await handlers[route](CALL, **arguments)


async def test_staff_look_for_orders_and_see_what_happened_to_one(shop: Shop):
    first = await shop.place("k1")
    shop.clock.advance(60)
    second = await shop.place("k2")
    later = START + timedelta(seconds=30)

    for wanted, found in [
        (StaffListQuery(order="oldest"), [first, second]),
        (StaffListQuery(q=second.number), [second]),
        (StaffListQuery(placed_from=later), [second]),
        (StaffListQuery(placed_to=later, status="placed"), [first]),
    ]:
        page = await ask(shop, "list_all_orders", query=wanted)
        assert [item.id for item in page.items] == [bare(order) for order in found]
    told = await ask(shop, "get_order_history", order_id=bare(first))
    assert [entry.kind for entry in told.items] == ["created", "payment", "placed"]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
async def test_a_moment_beyond_the_calendar_is_refused(small_shop: Shop, moment: str):
    for name in ("placed_from", "placed_to"):
        when = datetime.fromisoformat(moment)
        with pytest.raises(BodyInvalid) as refusal:
            await ask(small_shop, "list_all_orders", query=replace(StaffListQuery(), **{name: when}))
        assert refusal.value.pointer == f"/{name}"
    assert (await ask(small_shop, "list_all_orders", query=StaffListQuery(placed_from=START))).items == ()
