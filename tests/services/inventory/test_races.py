"""What happens at once: two processes on one PostgreSQL, and one process on SQLite."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from hansa.kernel.errors import BusinessError
from hansa.services.inventory.contract import OutOfStock, Reservation, ReservationGone, Stock, StockChanged
from hansa.services.inventory.events import AvailabilityChanged
from tests.databases import POSTGRES, SQLITE
from tests.services.inventory.shelves import HALF_AN_HOUR, Shelves, opened


@pytest.fixture
async def processes(inventory_dsn: str, tmp_path: Path) -> AsyncIterator[tuple[Shelves, Shelves]]:
    """Two inventories that share nothing but the server: each has its own pool and its own block of ids."""
    async with AsyncExitStack() as stack:
        one, two = [
            await stack.enter_async_context(
                opened(engine=POSTGRES, folder=tmp_path, dsn=inventory_dsn, sequences=sequences)
            )
            for sequences in (range(512), range(512, 1024))
        ]
        yield one, two


async def test_two_hundred_at_once_want_fifty_pieces_and_fifty_get_one(processes: tuple[Shelves, Shelves]) -> None:
    one, two = processes
    await one.put("HAT", 50)
    shops = [processes[number % 2] for number in range(200)]
    outcomes = await _at_once(*(shop.reserve(shop.order(slot=n % 16), ("HAT", 1)) for n, shop in enumerate(shops)))
    assert Counter(type(outcome) for outcome in outcomes) == {Reservation: 50, OutOfStock: 150}
    assert await two.level("HAT") == (50, 50, 0)
    assert [body.is_available for body in await one.bodies(AvailabilityChanged)] == [True, False]
    await two.check_books()


async def test_two_processes_sell_a_hot_variant_out_exactly(processes: tuple[Shelves, Shelves]) -> None:
    one, two = processes
    await one.put("HOT", 40)

    async def buy(number: int) -> str:
        shop, other = (one, two) if number % 2 else (two, one)
        order = shop.order(slot=number % 64)
        try:
            await shop.reserve(order, ("HOT", 1))
        except OutOfStock:
            return "sold out"
        await other.sell(order)
        return "bought"

    outcomes = await _at_once(*(buy(number) for number in range(150)))

    assert Counter(outcomes) == {"bought": 40, "sold out": 110}
    assert await one.level("HOT") == (0, 0, 40)
    await two.check_books()


async def test_fifty_pieces_are_enough_on_one_file_too(tmp_path: Path) -> None:
    async with opened(engine=SQLITE, folder=tmp_path, dsn=None) as shelves:
        await shelves.put("HAT", 50)
        outcomes = await _at_once(*(shelves.reserve(shelves.order(), ("HAT", 1)) for _ in range(200)))
        assert Counter(type(outcome) for outcome in outcomes) == {Reservation: 50, OutOfStock: 150}
        await shelves.check_books()


async def test_orders_that_cross_each_other_never_block_for_good(processes: tuple[Shelves, Shelves]) -> None:
    one, _ = processes
    skus = ("HAT", "SHOE", "SCARF", "GLOVE")
    for sku in skus:
        await one.put(sku, 30)

    async def buy(shop: Shelves, number: int) -> str:
        order = shop.order(slot=number % 5)
        turned = [skus[(number + step) % len(skus)] for step in range(len(skus))]
        try:
            await shop.reserve(order, *((sku, 1) for sku in turned[::-1] if number % 2 or sku != "SCARF"))
        except OutOfStock:
            return "refused"
        await (shop.sell(order) if number % 3 else shop.release(order))
        return "sold" if number % 3 else "released"

    outcomes = await _at_once(*(buy(processes[number % 2], number) for number in range(80)))
    # Any deadlock would be broken off by the server and be a StorageBusy here.
    assert set(outcomes) <= {"sold", "released", "refused"}
    assert (await one.level("HAT"))[2] == Counter(outcomes)["sold"]
    await one.check_books()


async def test_two_who_reserve_for_the_same_order_hold_it_once(processes: tuple[Shelves, Shelves]) -> None:
    one, two = processes
    await one.put("HAT", 9)
    orders = [one.order() for _ in range(10)]
    outcomes = await _at_once(*(shop.reserve(order, ("HAT", 1)) for order in orders for shop in (one, two, one)))
    for number in range(10):
        first, second, third = outcomes[3 * number : 3 * number + 3]
        assert _said(first) == _said(second) == _said(third)
    assert await one.level("HAT") == (9, 9, 0)
    await one.check_books()


async def test_selling_and_expiring_at_once_sells_whole_once_or_nothing(processes: tuple[Shelves, Shelves]) -> None:
    one, two = processes
    await one.put("HAT", 40)
    await one.put("SHOE", 40)
    orders = [one.order(slot=number) for number in range(40)]
    for order in orders:
        await one.reserve(order, ("HAT", 1), ("SHOE", 1))
    one.clock.advance(HALF_AN_HOUR.total_seconds())
    two.clock.advance(HALF_AN_HOUR.total_seconds())

    async def sell_all(wanted: list[str]) -> list[object]:
        return [(await _at_once(one.sell(order)))[0] for order in wanted]

    async def take_all(slot: int) -> list[object]:
        return [(await _at_once(two.reserve(two.order(slot=slot), ("SHOE", 1), ("HAT", 1))))[0] for _ in range(20)]

    *outcomes, taken, _, _ = await asyncio.gather(
        sell_all(orders[::2]), sell_all(orders[1::2][::-1]), take_all(50), two.service.expire(), one.service.expire()
    )
    sales = [outcome for sale in outcomes for outcome in sale]
    sold, rivals = sales.count(None), sum(isinstance(outcome, Reservation) for outcome in taken)
    assert all(outcome is None or isinstance(outcome, ReservationGone) for outcome in sales)
    assert await one.level("HAT") == await one.level("SHOE") == (40 - sold, rivals, sold)
    assert sold + rivals == 40, "nobody is sent away while a piece is there"
    await one.check_books()


async def test_what_has_expired_is_sold_once_however_many_come_for_it(processes: tuple[Shelves, Shelves]) -> None:
    one, two = processes
    await one.put("HAT", 15)
    orders = [one.order(slot=number) for number in range(10)]
    for order in orders:
        await one.reserve(order, ("HAT", 1), expires_at=one.clock.now())
    await one.service.expire()
    sales = [shop.sell(order) for order in orders for shop in (one, two, one)]
    rivals = [shop.reserve(shop.order(slot=number), ("HAT", 1)) for number in range(5) for shop in (one, two)]
    outcomes = await _at_once(*sales, *rivals)
    told = [set(map(type, outcomes[first : first + 3])) for first in range(0, len(sales), 3)]
    assert all(len(kinds) == 1 for kinds in told), "whoever asks for an order is told the same"
    sold = told.count({type(None)})
    assert await two.level("HAT") == (15 - sold, 15 - sold, sold)
    await one.check_books()


async def test_what_has_expired_and_is_released_while_somebody_sells_it_is_not_sold(
    processes: tuple[Shelves, Shelves],
) -> None:
    one, two = processes
    await one.put("HAT", 10)
    orders = [one.order(slot=number) for number in range(10)]
    for order in orders:
        await one.reserve(order, ("HAT", 1), expires_at=one.clock.now())
    await one.service.expire()
    outcomes = await _at_once(*(act for order in orders for act in (one.sell(order), two.release(order))))
    assert all(outcome is None or isinstance(outcome, ReservationGone) for outcome in outcomes)
    assert await one.level("HAT") == (10, 0, 0)
    await one.check_books()


@pytest.mark.parametrize("delay", range(4))
async def test_selling_and_releasing_at_once_leave_nothing_sold(processes: tuple[Shelves, Shelves], delay: int) -> None:
    one, two = processes
    await one.put("HAT", 10)
    orders = [one.order(slot=number) for number in range(10)]
    for order in orders:
        await one.reserve(order, ("HAT", 1))

    async def release_soon(order: str) -> None:
        for _ in range(delay * 5):
            await asyncio.sleep(0)
        await two.release(order)

    outcomes = await _at_once(*(act for order in orders for act in (one.sell(order), release_soon(order))))
    assert all(outcome is None or isinstance(outcome, ReservationGone) for outcome in outcomes)
    assert await one.level("HAT") == (10, 0, 0)
    await one.check_books()


async def test_a_reservation_and_the_release_that_overtakes_it_leave_nothing_held(
    processes: tuple[Shelves, Shelves],
) -> None:
    one, two = processes
    await one.put("HAT", 20)
    orders = [one.order(slot=number) for number in range(20)]
    acts = [act for order in orders for act in (one.reserve(order, ("HAT", 1)), two.release(order))]
    outcomes = await _at_once(*acts)
    assert all(outcome is None or isinstance(outcome, (Reservation, ReservationGone)) for outcome in outcomes)
    assert await one.level("HAT") == (20, 0, 0)
    await one.check_books()


@pytest.mark.parametrize("locations", [("main", "main"), ("main", "east"), ("east", "west")])
async def test_of_two_counts_on_the_same_version_one_is_refused(
    processes: tuple[Shelves, Shelves], locations: tuple[str, str]
) -> None:
    async def count(shop: Shelves, version: int, location: str) -> object:
        return await shop.inventory.set_on_hand(
            key=f"{version}-{shop is processes[0]}",
            sku="HAT",
            on_hand=version * 10 + (shop is processes[0]),
            version=version,
            actor="user:1",
            location=location,
        )

    for version in range(6):
        outcomes = await _at_once(
            *(count(shop, version, location) for shop, location in zip(processes, locations, strict=True))
        )
        assert [str(outcome) for outcome in outcomes if isinstance(outcome, Exception)] == [
            str(StockChanged(version=version + 1))
        ]
    await processes[0].check_books()


async def test_two_counts_that_make_two_locations_of_a_known_sku_see_each_other(
    processes: tuple[Shelves, Shelves],
) -> None:
    for number in range(10):
        sku = f"SKU-{number}"
        await processes[0].put(sku, 1)
        acts = [
            shop.inventory.set_on_hand(
                key=f"{sku}-{location}", sku=sku, on_hand=2, version=1, actor="user:1", location=location
            )
            for shop, location in zip(processes, ("east", "west"), strict=True)
        ]
        assert Counter(type(outcome) for outcome in await _at_once(*acts)) == {Stock: 1, StockChanged: 1}


async def test_returns_at_once_bring_back_no_more_than_was_sold(processes: tuple[Shelves, Shelves]) -> None:
    one, two = processes
    await one.put("HAT", 5)
    order = one.order()
    await one.reserve(order, ("HAT", 5))
    await one.sell(order)
    await _at_once(*(shop.take_back(order, ("HAT", 2)) for shop in (one, two, one, two)), two.release(order))
    assert await one.level("HAT") == (5, 0, 0)
    await one.check_books()


async def test_batches_of_counts_that_cross_make_every_level_once(processes: tuple[Shelves, Shelves]) -> None:
    one, two = processes
    skus = [f"SKU-{number}" for number in range(60)]
    await _at_once(
        *(
            shop.inventory.set_many(
                key=f"{number}", on_hand=dict.fromkeys((skus, skus[::-1])[number % 2], 5), actor="import"
            )
            for number, shop in enumerate((one, two, one, two))
        ),
        *(
            shop.inventory.record_sale(key=sku, receipt=sku, sku=sku, quantity=1, location="main", actor="user:2")
            for shop, sku in zip((one, two, one), skus, strict=False)
        ),
    )
    await one.check_books()


async def test_a_file_imported_at_once_in_other_groups_sets_each_sku_once(processes: tuple[Shelves, Shelves]) -> None:
    skus = [f"SKU-{number}" for number in range(60)]
    groups = (skus[:40], skus[20:][::-1], skus[::-1], skus[::2])
    answers = await _at_once(
        *(
            processes[number % 2].inventory.set_many(key="file", on_hand=dict.fromkeys(group, 5), actor="import")
            for number, group in enumerate(groups)
        )
    )
    one, _ = processes
    assert answers == [{}] * len(groups)
    for sku in skus:
        assert [line.on_hand for line in await one.inventory.movements(sku=sku)] == [5]


async def _at_once(*acts: object) -> list[object]:
    """What each act came to: its answer or its business error; anything else is not expected here."""
    outcomes = await asyncio.gather(*acts, return_exceptions=True)  # type: ignore[call-overload]
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, BusinessError):
            raise outcome
    return list(outcomes)


def _said(outcome: object) -> object:
    return str(outcome) if isinstance(outcome, Exception) else outcome
