"""No piece is promised twice, and none is lost, in whatever order two transactions on stock meet."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from hansa.platform.database.statement import Statement
from hansa.services.inventory.contract import (
    BelowReserved,
    OutOfStock,
    Reservation,
    ReservationGone,
    Stock,
    StockChanged,
)
from hansa.services.inventory.service import InventoryService
from hansa.services.inventory.tables import RESERVATIONS
from tests.isolation.ground import Ground
from tests.isolation.stepping import Act, Explored, Scene, explore
from tests.reserved import lines_of
from tests.services.inventory.shelves import HALF_AN_HOUR, Shelves

_RESERVATIONS = Statement(select(RESERVATIONS))


class Store:
    """Shelves of one process that prepares and looks, and of two that meet."""

    def __init__(self, ground: Ground, one: Shelves, two: Shelves, three: Shelves) -> None:
        self.ground, self.one, self.two, self.three = ground, one, two, three
        self.made = 0

    async def shelf(self, pieces: int = 1) -> tuple[str, str, str]:
        """A sku of which there are so many, and the names of two orders of different buyers."""
        sku = self.one.order(slot=1)
        await self.count(self.one, sku, pieces)
        self.made += 1
        return sku, self.one.order(slot=self.made % 7), self.one.order(slot=20 - self.made % 5)

    async def count(self, shelves: Shelves, sku: str, pieces: int, *, version: int | None = None) -> Stock:
        return await shelves.inventory.set_on_hand(
            key=f"{sku} {pieces}", sku=sku, on_hand=pieces, version=version, actor="user:1"
        )

    async def explore(self, prepare: Any, *, switches: int = 1) -> Explored:
        return await explore(self.ground.stage, prepare, switches=switches)

    def scene(self, sku: str, first: Act, second: Act, expected: Any) -> Scene:
        """`expected` says of the outcomes what the level then must be, or raises."""

        async def check(*outcomes: Any) -> None:
            level = await self.one.level(sku)
            assert level == expected(*outcomes)
            ledger = await self.one.inventory.movements(sku=sku)
            assert level == tuple(
                sum(getattr(line, name) for line in ledger) for name in ("on_hand", "reserved", "sold")
            )
            lines = [line for line in lines_of(await self.one.database.all(_RESERVATIONS)) if line["sku"] == sku]
            assert level[1] == sum(line["held"] for line in lines), "what is reserved is held for somebody"
            assert level[2] == sum(line["sold"] - line["returned"] for line in lines), "what is sold, somebody has"

        return Scene((first, second), check)


@pytest.fixture
async def store(ground: Ground) -> AsyncIterator[Store]:
    async with ground.database("inventory") as database:
        doors = (database, *ground.stepped(database))
        services = [
            InventoryService(database=door, clock=ground.clock, ids=ids)
            for door, ids in zip(doors, ground.ids_of_all, strict=True)
        ]
        yield Store(
            ground,
            *(
                Shelves(database=door, service=service, inventory=service, clock=ground.clock, ids=ids)
                for door, service, ids in zip(doors, services, ground.ids_of_all, strict=True)
            ),
        )


async def test_of_two_who_want_the_last_piece_one_gets_it(store: Store) -> None:
    async def prepare() -> Scene:
        sku, order, other = await store.shelf()

        def expected(*outcomes: Any) -> Any:
            assert {type(outcome) for outcome in outcomes} == {Reservation, OutOfStock}
            return 1, 1, 0

        return store.scene(
            sku, lambda: store.two.reserve(order, (sku, 1)), lambda: store.three.reserve(other, (sku, 1)), expected
        )

    explored = await store.explore(prepare, switches=2)
    assert len(explored.outcomes) == 2, "either may be the lucky one"
    assert explored.waits > 0


async def test_a_count_and_a_reservation_never_promise_what_is_not_there(store: Store) -> None:
    async def prepare() -> Scene:
        sku, order, _ = await store.shelf()

        def expected(reserved: Any, counted: Any) -> Any:
            is_held = isinstance(reserved, Reservation)
            assert isinstance(counted, BelowReserved) == is_held
            return (1, 1, 0) if is_held else (0, 0, 0)

        return store.scene(
            sku,
            lambda: store.two.reserve(order, (sku, 1)),
            lambda: store.count(store.three, sku, 0),
            expected,
        )

    explored = await store.explore(prepare)
    assert len(explored.outcomes) == 2


async def test_a_count_of_a_version_does_not_undo_a_reservation_that_it_did_not_see(store: Store) -> None:
    async def prepare() -> Scene:
        sku, order, _ = await store.shelf(3)

        def expected(reserved: Any, counted: Any) -> Any:
            assert isinstance(reserved, Reservation)
            return (3, 1, 0) if isinstance(counted, StockChanged) else (5, 1, 0)

        return store.scene(
            sku,
            lambda: store.two.reserve(order, (sku, 1)),
            lambda: store.count(store.three, sku, 5, version=1),
            expected,
        )

    explored = await store.explore(prepare)
    assert len(explored.outcomes) == 2


async def test_two_counts_of_one_version_are_one_count(store: Store) -> None:
    async def prepare() -> Scene:
        sku, _, _ = await store.shelf(3)

        def expected(*outcomes: Any) -> Any:
            assert sorted(isinstance(outcome, StockChanged) for outcome in outcomes) == [False, True]
            return (7 if isinstance(outcomes[0], StockChanged) else 5), 0, 0

        return store.scene(
            sku,
            lambda: store.count(store.two, sku, 5, version=1),
            lambda: store.count(store.three, sku, 7, version=1),
            expected,
        )

    explored = await store.explore(prepare)
    assert len(explored.outcomes) == 2


async def test_a_reservation_and_its_release_leave_nothing_held(store: Store) -> None:
    async def prepare() -> Scene:
        sku, order, _ = await store.shelf()

        def expected(reserved: Any, _: Any) -> Any:
            assert isinstance(reserved, (Reservation, ReservationGone))
            return 1, 0, 0

        return store.scene(
            sku, lambda: store.two.reserve(order, (sku, 1)), lambda: store.three.release(order), expected
        )

    explored = await store.explore(prepare, switches=2)
    assert len(explored.outcomes) == 2


async def test_the_same_order_reserved_twice_holds_once(store: Store) -> None:
    async def prepare() -> Scene:
        sku, order, _ = await store.shelf(2)

        def expected(first: Any, second: Any) -> Any:
            assert first == second
            return 2, 1, 0

        return store.scene(
            sku, lambda: store.two.reserve(order, (sku, 1)), lambda: store.three.reserve(order, (sku, 1)), expected
        )

    await store.explore(prepare, switches=2)


async def test_a_sale_and_a_release_of_one_order_leave_nothing_sold(store: Store) -> None:
    async def prepare() -> Scene:
        sku, order, _ = await store.shelf()
        await store.one.reserve(order, (sku, 1))

        def expected(sold: Any, _: Any) -> Any:
            assert sold is None or isinstance(sold, ReservationGone)
            return 1, 0, 0

        return store.scene(sku, lambda: store.two.sell(order), lambda: store.three.release(order), expected)

    explored = await store.explore(prepare, switches=2)
    assert len(explored.outcomes) == 2


async def test_two_sales_of_one_order_sell_once(store: Store) -> None:
    async def prepare() -> Scene:
        sku, order, _ = await store.shelf(2)
        await store.one.reserve(order, (sku, 1))
        return store.scene(
            sku, lambda: store.two.sell(order), lambda: store.three.sell(order), lambda first, second: (1, 0, 1)
        )

    await store.explore(prepare)


async def test_a_sale_and_an_expiry_of_one_order_sell_it(store: Store) -> None:
    async def prepare() -> Scene:
        sku, order, _ = await store.shelf()
        await _due(store, sku, order)
        # What has expired and is still there is sold all the same.
        return store.scene(
            sku, lambda: store.two.sell(order), store.three.service.expire, lambda sold, expired: (0, 0, 1)
        )

    explored = await store.explore(prepare)
    assert set(explored.outcomes) == {("done", "done")}


async def test_a_release_and_an_expiry_of_one_order_give_back_once(store: Store) -> None:
    async def prepare() -> Scene:
        sku, order, _ = await store.shelf()
        await _due(store, sku, order)
        return store.scene(
            sku, lambda: store.two.release(order), store.three.service.expire, lambda released, expired: (1, 0, 0)
        )

    await store.explore(prepare)


async def test_two_expiries_give_back_once(store: Store) -> None:
    async def prepare() -> Scene:
        sku, order, _ = await store.shelf()
        await _due(store, sku, order)
        return store.scene(sku, store.two.service.expire, store.three.service.expire, lambda first, second: (1, 0, 0))

    await store.explore(prepare)


async def test_what_expires_goes_to_another_buyer_or_to_nobody(store: Store) -> None:
    async def prepare() -> Scene:
        sku, order, other = await store.shelf()
        await _due(store, sku, order)

        def expected(reserved: Any, _: Any) -> Any:
            return 1, int(isinstance(reserved, Reservation)), 0

        return store.scene(sku, lambda: store.two.reserve(other, (sku, 1)), store.three.service.expire, expected)

    explored = await store.explore(prepare)
    assert len(explored.outcomes) == 2


async def test_what_had_expired_is_sold_late_or_promised_anew_but_not_both(store: Store) -> None:
    async def prepare() -> Scene:
        sku, order, other = await store.shelf()
        await _due(store, sku, order)
        await store.one.service.expire()

        def expected(sold: Any, reserved: Any) -> Any:
            assert isinstance(sold, ReservationGone) == isinstance(reserved, Reservation)
            return (1, 1, 0) if isinstance(reserved, Reservation) else (0, 0, 1)

        return store.scene(sku, lambda: store.two.sell(order), lambda: store.three.reserve(other, (sku, 1)), expected)

    explored = await store.explore(prepare)
    assert len(explored.outcomes) == 2


@pytest.mark.parametrize("keys", [("once", "once"), ("one", "two")], ids=" and ".join)
async def test_returns_bring_back_no_more_than_was_sold(store: Store, keys: tuple[str, str]) -> None:
    async def prepare() -> Scene:
        sku, order, _ = await store.shelf(3)
        await store.one.reserve(order, (sku, 3))
        await store.one.sell(order)
        back = 2 if keys[0] == keys[1] else 3
        return store.scene(
            sku,
            lambda: store.two.take_back(order, (sku, 2), key=f"{keys[0]}-{order}"),
            lambda: store.three.take_back(order, (sku, 2), key=f"{keys[1]}-{order}"),
            lambda first, second: (back, 0, 3 - back),
        )

    await store.explore(prepare)


async def test_a_return_and_a_release_bring_back_once(store: Store) -> None:
    async def prepare() -> Scene:
        sku, order, _ = await store.shelf()
        await store.one.reserve(order, (sku, 1))
        await store.one.sell(order)
        return store.scene(
            sku,
            lambda: store.two.take_back(order, (sku, 1), key=order),
            lambda: store.three.release(order),
            lambda taken, released: (1, 0, 0),
        )

    await store.explore(prepare)


async def test_orders_that_name_their_lines_crosswise_do_not_wait_for_each_other_in_a_ring(store: Store) -> None:
    async def prepare() -> Scene:
        sku, order, other = await store.shelf(2)
        beside, _, _ = await store.shelf(2)
        return store.scene(
            sku,
            lambda: store.two.reserve(order, (sku, 1), (beside, 1)),
            lambda: store.three.reserve(other, (beside, 1), (sku, 1)),
            lambda first, second: (2, 2, 0),
        )

    await store.explore(prepare)


async def _due(store: Store, sku: str, order: str) -> None:
    """Hold a piece for an order whose time is over by now, and which alone is due."""
    await store.one.service.expire()
    await store.one.reserve(order, (sku, 1), expires_at=store.ground.clock.now() - HALF_AN_HOUR)
