"""Group commit: those who come together commit together, and each is answered as if it had been alone."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hansa.kernel.errors import Fault, StorageBusy, StorageFull
from hansa.platform.database.batcher import Batcher, Gatherer
from hansa.platform.database.port import Database, RemoteCallInTransaction, Transaction, marked_open
from tests.platform.database.things import ADD, TAKE, add, available, skus

SKU = "hat"


class SoldOut(Exception):
    """Too few are left for this one."""


class Poison(Exception):
    """This one breaks whatever batch it is in."""


class Till:
    """Takes hats, as many as each caller wants, in the order in which they came."""

    def __init__(self, database: Database, **options: Any) -> None:
        self.batches: list[list[int]] = []
        self.poison: int | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.batcher: Batcher[int, int] = Batcher(database=database, act=self._take, slots=lambda _: (7,), **options)

    async def take(self, quantity: int) -> int:
        """How many are left."""
        return await self.batcher.submit(quantity)

    async def takes(self, *quantities: int) -> list[int | BaseException]:
        return await asyncio.gather(*(self.take(quantity) for quantity in quantities), return_exceptions=True)

    async def _take(self, tx: Transaction, quantities: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(list(quantities))
        await self.gate.wait()
        answers: list[int | Exception] = []
        for quantity in quantities:
            taken = await tx.one(TAKE, lines=[(7, SKU, quantity)])
            answers.append(SoldOut() if taken is None else taken["available"])
        if self.poison in quantities:
            raise Poison
        return answers


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def test_a_lone_caller_is_served_at_once(database: Database) -> None:
    await add(database, (7, SKU, 10))
    till = Till(database)

    assert await till.take(3) == 7
    assert till.batches == [[3]]


async def test_who_comes_while_one_commits_is_in_the_next_batch_in_the_order_of_arrival(database: Database) -> None:
    await add(database, (7, SKU, 100))
    till = Till(database)
    till.gate.clear()
    first = asyncio.create_task(till.take(1))
    await until(lambda: till.batches)
    others = [asyncio.create_task(till.take(quantity)) for quantity in (2, 3, 4)]
    await asyncio.sleep(0)
    till.gate.set()

    assert [await first, *[await other for other in others]] == [99, 97, 94, 90]
    assert till.batches == [[1], [2, 3, 4]]


async def test_a_batch_has_a_largest_size(database: Database) -> None:
    await add(database, (7, SKU, 100))
    till = Till(database, largest=3)

    assert await till.takes(1, 1, 1, 1, 1, 1, 1) == [99, 98, 97, 96, 95, 94, 93]
    assert [len(batch) for batch in till.batches] == [3, 3, 1]


async def test_only_those_who_do_not_fit_are_refused(database: Database) -> None:
    await add(database, (7, SKU, 10))
    till = Till(database)

    answers = await till.takes(4, 7, 5, 2, 1)

    assert [answer if isinstance(answer, int) else type(answer) for answer in answers] == [6, SoldOut, 1, SoldOut, 0]
    assert len(till.batches) == 1
    assert await available(database, sku=SKU) == 0


async def test_a_failing_member_does_not_hurt_its_neighbours(database: Database) -> None:
    await add(database, (7, SKU, 10))
    till = Till(database)
    till.poison = 4

    answers = await till.takes(1, 4, 2)

    assert [answer if isinstance(answer, int) else type(answer) for answer in answers] == [9, Poison, 7]
    assert await available(database, sku=SKU) == 7


async def test_what_is_answered_is_there_for_others(database: Database) -> None:
    await add(database, (7, SKU, 10))
    till = Till(database)

    async def take_and_look() -> tuple[int, int]:
        left = await till.take(1)
        return left, await available(database, sku=SKU)

    seen = await asyncio.gather(*(take_and_look() for _ in range(5)))
    assert all(there <= left for left, there in seen)


async def test_two_batchers_on_one_database_never_sell_more_than_there_is(database: Database) -> None:
    await add(database, (7, SKU, 60))
    tills = [Till(database, largest=8) for _ in range(2)]

    answers = await asyncio.gather(*(till.takes(*[1] * 50) for till in tills))

    sold = [answer for each in answers for answer in each if isinstance(answer, int)]
    assert len(sold) == 60
    assert await available(database, sku=SKU) == 0


class Breaking(Database):
    """A database whose commits go wrong: before they are kept, or after."""

    def __init__(self, inner: Database) -> None:
        self.name = inner.name
        self._inner = inner
        self.before: list[Exception] = []
        self.after: list[Exception] = []
        self.writes = 0

    @asynccontextmanager
    async def write(self, *slots: int) -> AsyncIterator[Transaction]:
        self.writes += 1
        async with self._inner.write(*slots) as tx:
            yield tx
            if self.before:
                raise self.before.pop(0)
        if self.after:
            raise self.after.pop(0)

    def read(self, *slots: int) -> Any:
        return self._inner.read(*slots)

    async def open(self) -> None: ...

    async def close(self) -> None: ...


async def test_a_fault_of_the_commit_reaches_all_and_nothing_is_tried_again(database: Database) -> None:
    await add(database, (7, SKU, 10))
    breaking = Breaking(database)
    breaking.after = [Fault("nobody knows")]
    till = Till(breaking)

    answers = await till.takes(1, 2, 3)

    assert [type(answer) for answer in answers] == [Fault] * 3
    assert breaking.writes == 1
    assert await available(database, sku=SKU) == 4, "the commit was kept, and not made again"


async def test_no_room_reaches_all_and_nothing_is_kept(database: Database) -> None:
    await add(database, (7, SKU, 10))
    breaking = Breaking(database)
    breaking.before = [StorageFull("no room")]
    till = Till(breaking)

    answers = await till.takes(1, 2, 3)

    assert [type(answer) for answer in answers] == [StorageFull] * 3
    assert breaking.writes == 1
    assert await available(database, sku=SKU) == 10
    assert await till.take(1) == 9


async def test_of_a_busy_database_each_is_tried_by_itself(database: Database) -> None:
    await add(database, (7, SKU, 10))
    breaking = Breaking(database)
    breaking.before = [StorageBusy("a deadlock"), StorageBusy("still")]
    till = Till(breaking)

    answers = await till.takes(1, 2, 3)

    assert [answer if isinstance(answer, int) else type(answer) for answer in answers] == [StorageBusy, 8, 5]


async def test_closing_breaks_off_what_is_under_way_and_what_waits(database: Database) -> None:
    await add(database, (7, SKU, 10))
    till = Till(database, largest=1)
    till.gate.clear()
    callers = [asyncio.create_task(till.take(1)) for _ in range(3)]
    await until(lambda: till.batches)

    await till.batcher.close()

    assert [type(each) for each in await asyncio.gather(*callers, return_exceptions=True)] == [Fault] * 3
    assert await available(database, sku=SKU) == 10
    await add(database, (7, "shoe", 1))
    assert await skus(database) == [SKU, "shoe"]


async def test_a_caller_who_leaves_is_served_all_the_same_and_the_others_do_not_notice(database: Database) -> None:
    await add(database, (7, SKU, 10))
    till = Till(database)
    till.gate.clear()
    callers = [asyncio.create_task(till.take(1)) for _ in range(3)]
    await until(lambda: till.batches)
    callers[0].cancel()
    callers[1].cancel()
    till.gate.set()

    outcomes = await asyncio.gather(*callers, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes[:2]] == [asyncio.CancelledError] * 2
    assert outcomes[2] == 7
    assert await available(database, sku=SKU) == 7


async def test_within_a_transaction_no_batch_can_be_waited_for(database: Database) -> None:
    await add(database, (7, SKU, 10))
    till = Till(database)

    with marked_open("another"), pytest.raises(RemoteCallInTransaction):
        await till.take(1)


async def test_a_batch_that_was_answered_too_little_is_nobodys_success(database: Database) -> None:
    async def forgetful(tx: Transaction, items: Sequence[int]) -> Sequence[int]:
        await tx.run(ADD, lines=[(7, f"sku-{item}", 1) for item in items])
        return []

    batcher: Batcher[int, int] = Batcher(database=database, act=forgetful, slots=lambda _: (7,))
    with pytest.raises((ValueError, Fault)):
        await asyncio.wait_for(batcher.submit(1), 5)


async def test_who_looks_something_up_while_another_look_is_under_way_is_in_the_next() -> None:
    looks: list[list[int]] = []
    gate = asyncio.Event()

    async def look(items: Sequence[int]) -> Sequence[int | Exception]:
        looks.append(list(items))
        await gate.wait()
        return [Poison() if item == 3 else item * 10 for item in items]

    gatherer: Gatherer[int, int] = Gatherer(name="tens", look=look)
    first = asyncio.create_task(gatherer.submit(1))
    await until(lambda: looks)
    others = [asyncio.create_task(gatherer.submit(item)) for item in (2, 3)]
    await asyncio.sleep(0)
    gate.set()

    answers = await asyncio.gather(first, *others, return_exceptions=True)
    assert [answer if isinstance(answer, int) else type(answer) for answer in answers] == [10, 20, Poison]
    assert looks == [[1], [2, 3]]


async def test_where_single_ones_find_the_database_busy_nobody_else_waits_for_the_same(database: Database) -> None:
    asked: list[int] = []

    async def busy(tx: Transaction, items: Sequence[int]) -> Sequence[int]:
        asked.append(len(items))
        raise StorageBusy

    batcher: Batcher[int, int] = Batcher(database=database, act=busy, slots=lambda _: (7,))

    answers = await asyncio.gather(*(batcher.submit(number) for number in range(50)), return_exceptions=True)

    assert [type(answer) for answer in answers] == [StorageBusy] * 50
    assert asked == [50, 1, 1]


async def test_after_the_end_nothing_is_taken(database: Database) -> None:
    await add(database, (7, SKU, 10))
    till = Till(database)
    early = asyncio.create_task(till.take(1))
    await asyncio.sleep(0)  # its batch has not begun yet
    await till.batcher.close()

    for late in (early, asyncio.create_task(till.take(1))):
        with pytest.raises(Fault):
            await late
    assert await available(database, sku=SKU) == 10
