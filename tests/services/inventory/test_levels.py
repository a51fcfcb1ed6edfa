"""Counting, looking, and selling at the till."""

from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import select

from hansa.kernel.clock import to_micros
from hansa.kernel.errors import IdempotencyKeyReused
from hansa.platform.database.platform_tables import AUDIT
from hansa.platform.database.statement import Statement
from hansa.platform.outbox.inbox import forget
from hansa.services.inventory.contract import LARGEST_SET, BelowReserved, NoSuchStock, OutOfStock, Stock, StockChanged
from hansa.services.inventory.events import AvailabilityChanged
from tests.services.inventory.shelves import Shelves, counters_of

_AUDIT = Statement(select(AUDIT))


async def test_a_count_makes_the_level_and_its_line_in_the_ledger(shelves: Shelves) -> None:
    stock = await shelves.put("HAT", 5)
    assert (counters_of(stock), stock.available, stock.version) == ((5, 0, 0), 5, 1)
    assert await shelves.inventory.stock(sku="HAT") == stock
    shelves.clock.advance(1)
    await shelves.put("HAT", 3)
    first, second = await shelves.inventory.movements(sku="HAT")
    assert (first.kind, first.on_hand, second.kind, second.on_hand) == ("received", 5, "written_off", -2)
    assert (second.reference, second.at) == ("user:1", first.at + timedelta(seconds=1))
    await shelves.check_books()


async def test_what_was_never_counted_is_not_known_and_not_there(shelves: Shelves) -> None:
    with pytest.raises(NoSuchStock):
        await shelves.inventory.stock(sku="HAT")
    with pytest.raises(NoSuchStock):
        await shelves.inventory.movements(sku="HAT")
    assert await shelves.inventory.available(skus=("HAT",), locations=("main",)) == {"HAT": 0}


async def test_a_count_of_nothing_makes_the_sku_known(shelves: Shelves) -> None:
    stock = await shelves.put("HAT", 0)
    assert (counters_of(stock), stock.version) == ((0, 0, 0), 1)


async def test_available_sums_the_asked_locations_less_what_is_reserved(shelves: Shelves) -> None:
    await shelves.put("HAT", 5)
    await shelves.put("HAT", 2, location="east")
    await shelves.put("HAT", 9, location="west")
    await shelves.reserve(shelves.order(), ("HAT", 4))
    assert await shelves.inventory.available(skus=("HAT", "SHOE"), locations=("main", "east")) == {"HAT": 3, "SHOE": 0}


async def test_a_count_on_an_old_version_is_refused_whichever_location_has_changed(shelves: Shelves) -> None:
    read = await shelves.put("HAT", 5)
    await shelves.put("HAT", 1, location="east")
    with pytest.raises(StockChanged) as refusal:
        await shelves.inventory.set_on_hand(key="1", sku="HAT", on_hand=9, version=read.version, actor="user:1")
    assert refusal.value.version == 2
    stock = await shelves.inventory.set_on_hand(
        key="2", sku="HAT", on_hand=9, version=2, actor="user:1", location="east"
    )
    assert (stock.on_hand, stock.version) == (14, 3)
    await shelves.reserve(shelves.order(), ("HAT", 1))
    with pytest.raises(StockChanged):
        await shelves.inventory.set_on_hand(key="3", sku="HAT", on_hand=9, version=3, actor="user:1")


async def test_a_version_for_what_does_not_exist_is_zero(shelves: Shelves) -> None:
    with pytest.raises(StockChanged) as refusal:
        await shelves.inventory.set_on_hand(key="1", sku="HAT", on_hand=9, version=1, actor="user:1")
    assert refusal.value.version == 0
    with pytest.raises(NoSuchStock):
        await shelves.inventory.stock(sku="HAT")
    assert (await shelves.inventory.set_on_hand(key="2", sku="HAT", on_hand=9, version=0, actor="user:1")).version == 1


async def test_a_count_cannot_break_promises(shelves: Shelves) -> None:
    await shelves.put("HAT", 5)
    await shelves.reserve(shelves.order(), ("HAT", 3))
    with pytest.raises(BelowReserved) as refusal:
        await shelves.put("HAT", 2)
    assert refusal.value.reserved == 3
    assert counters_of(await shelves.put("HAT", 3)) == (3, 3, 0)


async def test_a_repeated_count_answers_as_the_first_time_and_does_nothing_more(shelves: Shelves) -> None:
    async def count(pieces: int) -> Stock:
        return await shelves.inventory.set_on_hand(key="1", sku="HAT", on_hand=pieces, version=None, actor="user:1")

    first = await count(5)
    await shelves.put("HAT", 7)
    assert await count(5) == first
    assert await shelves.level("HAT") == (7, 0, 0)
    with pytest.raises(IdempotencyKeyReused):
        await count(6)


async def test_many_counts_are_one_act_that_refuses_only_what_is_promised(shelves: Shelves) -> None:
    await shelves.put("HAT", 5)
    await shelves.reserve(shelves.order(), ("HAT", 3))
    counts = {f"SKU-{number}": number for number in range(199)} | {"HAT": 2}
    refused = await shelves.inventory.set_many(key="1", on_hand=counts, actor="import")
    assert refused == {"HAT": "inventory.below_reserved"}
    assert await shelves.level("HAT") == (5, 3, 0)
    available = await shelves.inventory.available(skus=tuple(counts), locations=("main",))
    assert available == counts
    assert await shelves.inventory.set_many(key="2", on_hand=counts | {"SKU-3": 0}, actor="import") == refused
    assert await shelves.level("SKU-3") == (0, 0, 0)
    await shelves.check_books()


async def test_a_key_sets_each_sku_once_however_the_skus_are_grouped(shelves: Shelves) -> None:
    async def count(key: str, location: str = "main", **on_hand: int) -> dict[str, str]:
        return await shelves.inventory.set_many(key=key, on_hand=on_hand, actor="import", location=location)

    assert await count("file", HAT=5, SHOE=5) == {}
    await shelves.inventory.record_sale(key="1", receipt="R", sku="HAT", quantity=1, location="main", actor="user:2")
    assert await count("file", SOCK=3, HAT=5) == {}
    assert await count("file", HAT=9) == {}
    assert (await shelves.level("HAT"), await shelves.level("SOCK")) == ((4, 0, 1), (3, 0, 0))
    await count("file", location="east", HAT=2)
    assert await shelves.level("HAT", location="east") == (2, 0, 0)
    await count("other", HAT=5)
    assert await shelves.level("HAT") == (5, 0, 1)
    await shelves.check_books()


async def test_what_a_key_was_refused_stays_refused_and_its_neighbours_are_set(shelves: Shelves) -> None:
    await shelves.put("HAT", 5)
    order = shelves.order()
    await shelves.reserve(order, ("HAT", 3))
    refused = await shelves.inventory.set_many(key="file", on_hand={"HAT": 2, "SHOE": 1}, actor="import")
    await shelves.release(order)
    again = await shelves.inventory.set_many(key="file", on_hand={"SOCK": 1, "HAT": 2}, actor="import")
    assert refused == again == {"HAT": "inventory.below_reserved"}
    assert (await shelves.level("HAT"), await shelves.level("SOCK")) == ((5, 0, 0), (1, 0, 0))
    assert await shelves.inventory.set_many(key="new", on_hand={"HAT": 2}, actor="import") == {}


async def test_a_key_is_remembered_from_its_last_use_on(shelves: Shelves) -> None:
    async def level_after(days: float) -> tuple[int, int, int]:
        """What a repetition so much later comes to."""
        shelves.clock.advance(days * 86_400)
        await forget(shelves.database, shelves.clock)
        await shelves.inventory.set_many(key="nightly", on_hand={"HAT": 5}, actor="import")
        return await shelves.level("HAT")

    assert await level_after(0) == (5, 0, 0)
    await shelves.put("HAT", 3)
    assert [await level_after(29), await level_after(29)] == [(3, 0, 0), (3, 0, 0)]
    assert await level_after(31) == (5, 0, 0)


async def test_a_till_is_never_refused_and_the_difference_is_booked(shelves: Shelves) -> None:
    await shelves.put("HAT", 2)
    order = shelves.order()
    await shelves.reserve(order, ("HAT", 1))
    stock = await shelves.inventory.record_sale(
        key="1", receipt="R-1", sku="HAT", quantity=3, location="main", actor="user:2"
    )
    assert counters_of(stock) == (1, 1, 3)
    assert [(line.kind, line.on_hand, line.reference) for line in await shelves.inventory.movements(sku="HAT")][
        -2:
    ] == [
        ("received", 2, "R-1"),
        ("till_sale", -3, "R-1"),
    ]
    again = await shelves.inventory.record_sale(
        key="1", receipt="R-1", sku="HAT", quantity=3, location="main", actor="user:2"
    )
    assert again == stock
    await shelves.sell(order)
    assert await shelves.level("HAT") == (0, 0, 4)
    await shelves.check_books()


async def test_a_till_may_sell_what_was_never_counted(shelves: Shelves) -> None:
    stock = await shelves.inventory.record_sale(
        key="1", receipt="R-1", sku="HAT", quantity=1, location="east", actor="user:2"
    )
    assert (counters_of(stock), stock.version) == ((0, 0, 1), 2)
    await shelves.check_books()


async def test_availability_is_announced_when_it_crosses_zero_and_only_then(shelves: Shelves) -> None:
    await shelves.put("HAT", 0)
    await shelves.put("HAT", 5)
    await shelves.put("HAT", 6)
    one, all_others, none = shelves.order(), shelves.order(), shelves.order()
    await shelves.reserve(one, ("HAT", 2))
    await shelves.reserve(all_others, ("HAT", 4))
    with pytest.raises(OutOfStock):
        await shelves.reserve(none, ("HAT", 1))
    await shelves.sell(all_others)
    await shelves.release(one)
    await shelves.release(all_others)
    await shelves.inventory.record_sale(key="1", receipt="R", sku="HAT", quantity=9, location="main", actor="user:2")

    assert [body.is_available for body in await shelves.bodies(AvailabilityChanged)] == [True, False, True, False]
    events = [event for event in await shelves.events() if event.type == AvailabilityChanged.type]
    assert {(event.aggregate, event.location) for event in events} == {("HAT@main", "main")}
    # The version is that of the level, so that a reader who hears them in another order keeps the latest.
    assert [event.version for event in events] == [2, 5, 7, 10]


async def test_staff_writes_leave_a_row_in_the_audit_trail_once(shelves: Shelves) -> None:
    for _ in range(2):
        await shelves.inventory.set_on_hand(key="1", sku="HAT", on_hand=5, version=None, actor="user:1")
        await shelves.inventory.set_many(key="2", on_hand={"HAT": 4, "SHOE": 2}, actor="user:2")
        await shelves.inventory.set_many(key="2", on_hand={"SHOE": 2}, actor="user:2")
        await shelves.inventory.record_sale(
            key="3", receipt="R", sku="HAT", quantity=1, location="main", actor="user:3"
        )
    audited = await shelves.database.all(_AUDIT)
    rows = {row["actor"]: row for row in audited}
    assert len(audited) == len(rows)
    assert {actor: (row["action"], row["target"]) for actor, row in rows.items()} == {
        "user:1": ("inventory.set_on_hand", "HAT@main"),
        "user:2": ("inventory.set_many", "main"),
        "user:3": ("inventory.record_sale", "HAT@main"),
    }
    assert msgspec.json.decode(rows["user:1"]["detail"]) == {"on_hand": {"before": 0, "after": 5}}
    assert rows["user:1"]["at"] == to_micros(shelves.clock.now())


async def test_the_ledger_of_several_locations_is_told_in_time(shelves: Shelves) -> None:
    for pieces, location in ((1, "west"), (2, "east"), (3, "west"), (4, "main")):
        await shelves.put("HAT", pieces, location=location)
        shelves.clock.advance(1)
    told = await shelves.inventory.movements(sku="HAT")
    assert [(line.location, line.on_hand) for line in told] == [("west", 1), ("east", 2), ("west", 2), ("main", 4)]


async def test_the_stock_of_several_skus_comes_in_the_order_asked_for_without_what_is_unknown(shelves: Shelves) -> None:
    await shelves.put("HAT", 5)
    await shelves.put("SHOE", 0)
    await shelves.put("HAT", 2, location="outlet")
    await shelves.reserve(shelves.order(), ("HAT", 1))

    found = await shelves.inventory.stocks(skus=("SHOE", "MOON", "HAT", "SHOE"))

    assert [stock.sku for stock in found] == ["SHOE", "HAT"]
    assert found == tuple([await shelves.inventory.stock(sku=sku) for sku in ("SHOE", "HAT")])
    assert (found[1].available, [level.location for level in found[1].levels]) == (6, ["main", "outlet"])
    assert await shelves.inventory.stocks(skus=()) == ()
    assert await shelves.inventory.stocks(skus=("MOON", "'; --")) == ()


async def test_the_stock_of_as_many_skus_as_may_be_asked_for_comes_at_once(shelves: Shelves) -> None:
    skus = tuple(f"SKU-{number}" for number in range(LARGEST_SET))
    await shelves.inventory.set_many(key="k1", on_hand=dict.fromkeys(skus, 3), actor="user:1")

    assert {(stock.sku, stock.on_hand) for stock in await shelves.inventory.stocks(skus=skus)} == {
        (sku, 3) for sku in skus
    }
