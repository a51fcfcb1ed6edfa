"""Orders that come together share a transaction, and nobody notices but the disk."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hansa.kernel.ids import Ids
from hansa.platform.database.port import Database, Reader, Transaction
from hansa.services.inventory import store
from hansa.services.inventory.contract import OutOfStock, Reservation, ReservationGone
from hansa.services.inventory.service import InventoryService
from hansa.services.inventory.tables import METADATA
from tests import databases
from tests.clocks import ManualClock
from tests.databases import SQLITE
from tests.services.inventory.shelves import HALF_AN_HOUR, Shelves, lines_of

CROWD = 60


async def test_the_first_to_come_get_the_last_pieces(shelves: Shelves) -> None:
    await shelves.put("HAT", 5)
    orders = [shelves.order(slot=(number * 37) % 50) for number in range(CROWD)]

    answers = await _reserved(shelves, orders)

    assert [isinstance(answer, Reservation) for answer in answers] == [True] * 5 + [False] * (CROWD - 5)
    assert all(isinstance(answer, OutOfStock) and answer.left == 0 for answer in answers[5:])
    assert await shelves.level("HAT") == (5, 5, 0)
    await shelves.check_books()


async def test_who_asks_for_too_much_takes_nothing_from_those_behind(shelves: Shelves) -> None:
    await shelves.put("HAT", 3)
    sizes = [2, 5, 1, 1]
    orders = [shelves.order() for _ in sizes]

    answers = await asyncio.gather(
        *(shelves.reserve(order, ("HAT", size)) for order, size in zip(orders, sizes, strict=True)),
        return_exceptions=True,
    )

    assert [type(answer).__name__ for answer in answers] == ["Reservation", "OutOfStock", "Reservation", "OutOfStock"]
    assert isinstance(answers[1], OutOfStock)
    assert answers[1].left == 1
    await shelves.check_books()


async def test_a_hot_variant_is_sold_out_exactly(shelves: Shelves) -> None:
    await shelves.put("HOT", 20)

    async def buy(order: str) -> bool:
        try:
            await shelves.reserve(order, ("HOT", 1))
        except OutOfStock:
            return False
        await shelves.sell(order)
        return True

    bought = await asyncio.gather(*(buy(shelves.order(slot=number % 64)) for number in range(3 * CROWD)))

    assert Counter(bought) == {True: 20, False: 3 * CROWD - 20}
    assert await shelves.level("HOT") == (0, 0, 20)
    await shelves.check_books()


async def test_sales_and_reservations_that_come_together_do_not_hurt_each_other(shelves: Shelves) -> None:
    await shelves.put("HAT", CROWD + 1)
    first, late = [shelves.order() for _ in range(CROWD)], shelves.order()
    await _reserved(shelves, first)
    await shelves.release(first[3])

    *sold, gone, last = await asyncio.gather(
        *(shelves.sell(order) for order in first),
        shelves.sell(shelves.order()),
        shelves.reserve(late, ("HAT", 2)),
        return_exceptions=True,
    )

    assert [type(answer) for answer in sold] == [
        ReservationGone if order == first[3] else type(None) for order in first
    ]
    assert isinstance(gone, ReservationGone)
    assert isinstance(last, Reservation)
    assert await shelves.level("HAT") == (2, 2, CROWD - 1)
    await shelves.check_books()


async def test_an_order_that_comes_twice_at_once_holds_once(shelves: Shelves) -> None:
    await shelves.put("HAT", 10)
    order = shelves.order()

    one, other = await asyncio.gather(*(shelves.reserve(order, ("HAT", 2)) for _ in range(2)))
    await asyncio.gather(*(shelves.sell(order) for _ in range(3)))

    assert one == other
    assert await shelves.level("HAT") == (8, 0, 2)
    await shelves.check_books()


async def test_a_member_that_breaks_the_batch_leaves_its_neighbours_alone(
    shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shelves.put("HAT", CROWD)
    orders = [shelves.order(slot=number % 50) for number in range(CROWD)]
    bad, claim = orders[7], store.claim_reservations

    async def claim_or_break(tx: Transaction, claims: Sequence[Any]) -> set[store.OrderKey]:
        if any(claim[1] == int(bad) for claim in claims):
            raise ValueError("this one cannot be written")
        return await claim(tx, claims)

    monkeypatch.setattr(store, "claim_reservations", claim_or_break)
    answers = await asyncio.gather(
        *(shelves.service.reserve(**_asked(shelves, order)) for order in orders), return_exceptions=True
    )

    assert [order for order, answer in zip(orders, answers, strict=True) if not isinstance(answer, Reservation)] == [
        bad
    ]
    assert isinstance(answers[7], ValueError)
    assert await shelves.level("HAT") == (CROWD, CROWD - 1, 0)
    await shelves.check_books()


async def test_whoever_leaves_takes_nobody_along(shelves: Shelves) -> None:
    await shelves.put("HAT", 3)
    orders = [shelves.order() for _ in range(3)]
    tasks = [asyncio.create_task(shelves.service.reserve(**_asked(shelves, order))) for order in orders]
    await asyncio.sleep(0)

    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert await shelves.level("HAT") == (3, 3, 0), "what had begun goes on, and is released or expires"
    await shelves.check_books()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_between_batches_loses_no_answer_that_was_given(tmp_path: Path, when: str) -> None:
    async with databases.opened(engine=SQLITE, name="inventory", metadata=METADATA, folder=tmp_path) as database:
        mortal = _Mortal(database, when=when)
        shelves = _shelves_on(mortal)
        await shelves.put("HAT", CROWD)
        orders = [shelves.order() for _ in range(CROWD)]
        first = await _reserved(shelves, orders[:20])

        mortal.is_doomed = True
        broken = await _reserved(shelves, orders[20:40])
        await shelves.service.close()
        shelves = _shelves_on(database)
        again = await _reserved(shelves, orders)

        assert all(isinstance(answer, _Killed) for answer in broken), "nobody is told what is not known"
        assert again[:20] == first
        assert all(isinstance(answer, Reservation) for answer in again)
        assert await shelves.level("HAT") == (CROWD, CROWD, 0)
        await shelves.check_books()
        await shelves.service.close()


async def _reserved(shelves: Shelves, orders: Sequence[str]) -> list[Any]:
    """What each order is told of one hat, all of them asking at once."""
    return await asyncio.gather(*(shelves.reserve(order, ("HAT", 1)) for order in orders), return_exceptions=True)


def _asked(shelves: Shelves, order: str) -> dict[str, Any]:
    expires_at = shelves.clock.now() + HALF_AN_HOUR
    lines = lines_of(("HAT", 1))
    return {"key": order, "order_id": order, "lines": lines, "locations": ("main",), "expires_at": expires_at}


def _shelves_on(database: Database) -> Shelves:
    clock = ManualClock()
    ids = Ids(clock=clock, sequences=range(512, 1024))
    service = InventoryService(database=database, clock=clock, ids=ids)
    return Shelves(database=database, service=service, inventory=service, clock=clock, ids=ids)


class _Killed(BaseException):
    """The process died here."""


class _Mortal(Database):
    """A database whose process dies before or after the next commit, once it is doomed."""

    def __init__(self, database: Database, *, when: str) -> None:
        self.name = database.name
        self.is_doomed = False
        self._database = database
        self._when = when

    @asynccontextmanager
    async def write(self, *slots: int) -> AsyncIterator[Transaction]:
        async with self._database.write(*slots) as tx:
            yield tx
            if self.is_doomed and self._when == "before":
                raise _Killed
        if self.is_doomed:
            raise _Killed

    @asynccontextmanager
    async def read(self, *slots: int) -> AsyncIterator[Reader]:
        async with self._database.read(*slots) as reader:
            yield reader

    async def open(self) -> None: ...

    async def close(self) -> None: ...
