"""What inventory hears of orders, and what it shows to the staff."""

import random
from typing import Any

import msgspec
import pytest

from hansa.kernel.channel import Channel
from hansa.kernel.event import Envelope, Event
from hansa.kernel.ids import slot_of
from hansa.kernel.principal import STAFF, Principal
from hansa.platform.http.route import STAFF_ONLY, Call, Route
from hansa.platform.messaging.local import LocalBus, Mischief
from hansa.platform.outbox.inbox import Inbox
from hansa.platform.outbox.relay import Relay
from hansa.services.inventory.api import PutStock, routes
from hansa.services.inventory.consumers import consumers
from hansa.services.inventory.contract import BelowReserved, NoSuchStock, ReservationGone, StockChanged
from hansa.services.inventory.manifest import MANIFEST
from hansa.services.orders.events import OrderCancelled, OrderRejected
from tests.services.inventory.shelves import Shelves, counters_of


async def test_orders_that_come_to_an_end_give_their_pieces_back_once(shelves: Shelves) -> None:
    """Over a bus that doubles, shuffles and splits whatever it is given."""
    await shelves.put("HAT", 9)
    cancelled, rejected, unheard, kept = (shelves.order(slot=number) for number in range(4))
    for order in (cancelled, rejected, kept):
        await shelves.reserve(order, ("HAT", 2))
    for order in (cancelled, kept):
        await shelves.sell(order)

    bus = LocalBus(
        clock=shelves.clock, chance=random.Random(1), mischief=Mischief(duplicate=0.7, reorder=0.7, split=0.7)
    )
    for consumer in consumers(shelves.service):
        inbox = Inbox(database=shelves.database, consumer=consumer, clock=shelves.clock)
        bus.subscribe(consumer=consumer.name, type=consumer.hears.type, subscriber=inbox)
    ends = [
        _envelope(shelves, cancelled, OrderCancelled(order_id=cancelled, reason="buyer")),
        _envelope(shelves, rejected, OrderRejected(order_id=rejected, reason="payments.declined")),
        _envelope(shelves, unheard, OrderRejected(order_id=unheard, reason="payments.declined")),
    ]
    for _ in range(3):
        await bus.publish(ends)
    assert await shelves.level("HAT") == (7, 0, 2)
    with pytest.raises(ReservationGone):
        await shelves.reserve(unheard, ("HAT", 2))
    await shelves.check_books()


async def test_availability_is_published(shelves: Shelves) -> None:
    heard: list[Envelope] = []

    class Listener:
        async def deliver(self, batch: Any) -> None:
            heard.extend(batch)

        async def park(self, envelope: Envelope, *, error: str, attempts: int) -> None:
            raise AssertionError(error)

    bus = LocalBus(clock=shelves.clock, chance=random.Random(1))
    bus.subscribe(consumer="test", type="inventory.availability_changed.v1", subscriber=Listener())
    await shelves.put("HAT", 9)
    await Relay(database=shelves.database, bus=bus, clock=shelves.clock).drain()
    assert [(envelope.source, envelope.aggregate) for envelope in heard] == [("inventory", "HAT@main")]
    assert await shelves.events() == []


async def test_staff_reads_and_counts_stock(shelves: Shelves) -> None:
    get, put = _routes(shelves)
    assert (get.access, put.access) == (STAFF_ONLY, STAFF_ONLY)
    made = await put.handler(_call("1"), sku="HAT", body=PutStock(on_hand=5))
    assert made == await get.handler(_call("2"), sku="HAT")
    assert counters_of(made) == (5, 0, 0)
    [movement] = await shelves.inventory.movements(sku="HAT")
    assert movement.reference == "user:42"


async def test_staff_is_told_why_a_count_is_refused(shelves: Shelves) -> None:
    get, put = _routes(shelves)
    assert {NoSuchStock} <= set(get.errors)
    assert {BelowReserved, StockChanged} <= set(put.errors)
    with pytest.raises(NoSuchStock):
        await get.handler(_call("1"), sku="HAT")
    made = await put.handler(_call("2"), sku="HAT", body=PutStock(on_hand=5))
    await shelves.reserve(shelves.order(), ("HAT", 2))
    with pytest.raises(StockChanged):
        await put.handler(_call("3", version=made.version), sku="HAT", body=PutStock(on_hand=9))
    with pytest.raises(BelowReserved):
        await put.handler(_call("4"), sku="HAT", body=PutStock(on_hand=1))
    assert (await put.handler(_call("5", version=made.version + 1), sku="HAT", body=PutStock(on_hand=2))).available == 0


async def test_the_manifest_says_what_there_is(shelves: Shelves) -> None:
    assert [job.name for job in MANIFEST.jobs(shelves.service)] == ["inventory.expire"]
    assert {consumer.hears for consumer in MANIFEST.consumers(shelves.service)} == {OrderCancelled, OrderRejected}
    assert {(route.verb, route.path) for route in MANIFEST.routes(shelves.inventory)} == {
        ("GET", "/api/v1/admin/inventory/{sku}"),
        ("PUT", "/api/v1/admin/inventory/{sku}"),
    }


def _routes(shelves: Shelves) -> tuple[Route, Route]:
    get, put = routes(shelves.inventory)
    return get, put


def _call(key: str, *, version: int | None = None) -> Call:
    return Call(
        principal=Principal("42", (STAFF,)),
        channel=Channel(),
        locale="en",
        currency="USD",
        key=key,
        version=version,
        remote="",
        token="",
        headers={},
        correlation="",
    )


def _envelope(shelves: Shelves, order: str, event: Event) -> Envelope:
    slot = slot_of(order)
    return Envelope(
        id=shelves.ids.new(slot=slot),
        type=event.type,
        source="orders",
        time=shelves.clock.now(),
        slot=slot,
        aggregate=order,
        body=msgspec.Raw(msgspec.json.encode(event)),
    )
