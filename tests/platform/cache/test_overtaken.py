"""Loads, drops and news that arrive in another order than they began."""

import asyncio
from collections.abc import Sequence

import pytest

from hansa.platform.cache.port import CacheTrouble, Entry, Loan
from tests.clocks import ManualClock
from tests.platform.cache.local_store import LocalStore
from tests.platform.cache.processes import Process, Truth

KEY = "{1}"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def truth() -> Truth:
    truth = Truth()
    truth.versions[KEY] = 1
    return truth


class Slow(LocalStore):
    """A store that keeps values when it is let, and drops them if it is well; and not once it is closed."""

    is_well = True

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()
        self.let.set()

    async def put(self, key: str, entry: Entry, *, token: int) -> bool:
        await self.let.wait()
        return await super().put(key, entry, token=token)

    async def drop(self, keys: Sequence[str], *, cause: str = "") -> None:
        if not self.is_well:
            raise CacheTrouble("out of order")
        await super().drop(keys, cause=cause)

    async def give_back(self, key: str, *, token: int) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        if not self.is_well:
            raise CacheTrouble("closed")
        await super().give_back(key, token=token)

    async def close(self) -> None:
        self.is_well = False


async def late_and_early(process: Process, truth: Truth, clock: ManualClock) -> tuple[asyncio.Task[int | None], int]:
    """A read that has loaded version 1 and waits for the store, and what another one has read since a change."""
    assert process.cache.shared is not None
    store = process.cache.shared.store
    assert isinstance(store, Slow)
    store.let.clear()
    late = asyncio.create_task(process.get(KEY))
    await clock.pass_time(0)
    process.cache.dropped([process.shelf.name(KEY)])
    truth.versions[KEY] = 2
    del store.loans[process.shelf.name(KEY)]
    early = asyncio.create_task(process.get(KEY))
    await clock.pass_time(0)
    store.let.set()
    return late, await early or 0


async def test_a_late_reader_is_not_given_what_is_older_than_others_have_seen(truth: Truth, clock: ManualClock):
    """As one who joined it may have been among those."""
    process = Process(truth, clock=clock, store=Slow())

    late, seen = await late_and_early(process, truth, clock)

    assert seen == 2
    assert await late == 2
    assert await process.get(KEY) == 2


async def test_memory_is_filled_before_anything_else_is_waited_for(truth: Truth, clock: ManualClock):
    """Else it would be filled over what was found out meanwhile."""
    process = Process(truth, clock=clock, store=(store := Slow()))
    store.let.clear()
    reader = asyncio.create_task(process.get(KEY))
    await clock.pass_time(0)

    assert process.cache.memory.get(process.shelf.name(KEY)) is not None
    store.let.set()
    assert await reader == 1


async def test_what_is_held_goes_when_something_newer_is_seen(truth: Truth, clock: ManualClock):
    """By a reader that began before the last change was heard of, so that what it has found is not held."""
    process = Process(truth, clock=clock, store=LocalStore())
    reading = asyncio.Event()
    load = truth.load

    async def load_late(key: str):
        await reading.wait()
        return await load(key)

    process.shelf._load = load_late
    late = asyncio.create_task(process.get(KEY))
    await clock.pass_time(0)
    process.put(KEY, 2)
    process.shelf._load = load
    assert await process.get(KEY) == 2
    truth.versions[KEY] = 3  # and it is not told yet
    reading.set()

    assert await late == 3
    assert await process.get(KEY) == 3


@pytest.mark.parametrize("is_alone", [False, True])
async def test_a_load_that_was_overtaken_again_and_again_ends_with_the_newest(
    truth: Truth, clock: ManualClock, is_alone: bool
):
    process = Process(truth, clock=clock, store=None if is_alone else LocalStore(), is_alone=is_alone)
    load, name = truth.load, process.shelf.name(KEY)
    overtaken = 0

    async def load_overtaken(key: str):
        nonlocal overtaken
        loaded = await load(key)
        if overtaken < 3:
            overtaken += 1
            truth.versions[KEY] += 1
            process.cache.see(name, truth.versions[KEY])
        return loaded

    process.shelf._load = load_overtaken

    assert await process.get(KEY) == 4


async def test_what_was_deleted_is_believed_to_be(truth: Truth, clock: ManualClock):
    process = Process(truth, clock=clock, store=LocalStore())
    await process.get(KEY)
    process.put(KEY, None)
    await process.cache.quiet()
    truth.asked.clear()

    assert [await process.get(KEY) for _ in range(3)] == [None] * 3
    assert len(truth.asked) <= 2


async def test_of_two_causes_that_wait_for_the_store_none_is_taken_for_the_other(truth: Truth, clock: ManualClock):
    """The store may have dropped the key for one of them already, before something was put there again."""
    store = Slow()
    process, other = (Process(truth, clock=clock, store=store, seed=seed) for seed in (1, 2))
    name = process.shelf.name(KEY)
    other.cache.tell([name], cause="event 1")
    await other.cache.quiet()
    await other.get(KEY)
    store.is_well = False
    truth.versions[KEY] = 2
    process.cache.tell([name], cause="event 2")
    process.cache.tell([name], cause="event 1")  # heard of now
    await process.cache.quiet()
    store.is_well = True
    await clock.pass_time(1)

    assert await process.get(KEY) == 2
    assert await other.get(KEY) == 2


async def test_what_was_found_while_deaf_is_not_held_afterwards(truth: Truth, clock: ManualClock):
    process = Process(truth, clock=clock, store=LocalStore())
    process.cache.deaf()
    truth.hold = asyncio.Event()
    reader = asyncio.create_task(process.get(KEY))
    await clock.pass_time(0)
    process.cache.missed()
    truth.hold.set()
    await reader

    assert process.cache.memory.get(process.shelf.name(KEY)) is None


async def test_who_stops_while_loading_gives_its_loans_back(truth: Truth, clock: ManualClock):
    """So that the others do not wait for it."""
    store = Slow()
    process, other = (Process(truth, clock=clock, store=store, seed=seed) for seed in (1, 2))
    truth.hold = asyncio.Event()
    reader = asyncio.create_task(process.get(KEY))
    await clock.pass_time(0)
    assert store.loans
    await process.cache.close()

    assert not store.loans
    assert isinstance((await asyncio.gather(reader, return_exceptions=True))[0], Exception)
    truth.hold.set()
    assert await other.get(KEY) == 1


async def test_what_was_filled_between_the_look_and_the_loan_is_not_loaded_again(truth: Truth, clock: ManualClock):
    store = Slow()
    process, other = (Process(truth, clock=clock, store=store, seed=seed) for seed in (1, 2))
    lend = store.lend

    async def lend_late(key: str, *, now: int, for_s: float) -> Loan:
        store.lend = lend  # type: ignore[method-assign]
        await other.get(KEY)
        return await lend(key, now=now, for_s=for_s)

    store.lend = lend_late  # type: ignore[method-assign]

    assert await process.get(KEY) == 1
    assert truth.asked == [KEY]
    await process.cache.settled()
    assert not store.loans
