"""Which ids are denied: never one that exists, and of those that do not, nearly all that are old enough."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hansa.kernel.ids import SEQUENCES, SLOTS, first_id_at
from hansa.platform.cache.existing import ADDED_AT_ONCE, MARGIN_S, Existing, Pages
from tests.clocks import START, ManualClock

AGO = START - timedelta(days=365)


def ids_since(number: int, *, chance: random.Random, days: float = 300) -> list[int]:
    """Ids of the layout, made at any time since a year before the test."""
    first, last = first_id_at(AGO) >> 22, first_id_at(AGO + timedelta(days=days)) >> 22
    return [
        chance.randrange(first, last) << 22 | chance.randrange(SLOTS) << 10 | chance.randrange(SEQUENCES)
        for _ in range(number)
    ]


def at(*, seconds: float, slot: int = 7) -> int:
    """The id of something made so long after the test's beginning."""
    return first_id_at(START + timedelta(seconds=seconds)) | slot << 10


def pages_of(ids: Sequence[int], *, size: int = 1_000) -> Pages:
    async def pages() -> AsyncIterator[Sequence[int]]:
        for start in range(0, len(ids), size):
            yield ids[start : start + size]

    return pages


def made(clock: ManualClock, *, capacity: int = 10_000, ahead_s: float | None = None) -> Existing:
    return Existing(name="products", clock=clock, capacity=capacity, ahead_s=ahead_s)


class Paused:
    """Pages that are read one at a time, when the test says so."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._next = asyncio.Event()
        self.asked = 0

    async def __call__(self) -> AsyncIterator[Sequence[int]]:
        async for page in self._pages():
            self.asked += 1
            await self._next.wait()
            self._next.clear()
            yield page

    async def go_on(self) -> None:
        asked = self.asked
        self._next.set()
        for _ in range(20):
            if self.asked > asked:
                break
            await asyncio.sleep(0)


async def test_before_it_is_built_nothing_is_denied() -> None:
    existing = made(ManualClock())
    assert existing.can_exist(str(at(seconds=-1e6)))
    assert (existing.as_of, existing.count, existing.memory_bytes) == (None, 0, 0)


async def test_only_old_ids_that_are_unknown_are_denied() -> None:
    clock = ManualClock()
    existing = made(clock)
    known, unknown = at(seconds=-1e6), at(seconds=-1e6, slot=8)

    assert await existing.rebuild(pages_of([known]))

    assert existing.can_exist(str(known))
    assert not existing.can_exist(str(unknown))
    assert not existing.can_exist("1")
    assert not existing.can_exist(str(at(seconds=-MARGIN_S - 1)))
    assert existing.can_exist(str(at(seconds=-MARGIN_S + 1)))
    assert existing.can_exist(str(at(seconds=1e9)))
    assert (existing.as_of, existing.count) == (START, 1)


@pytest.mark.parametrize(
    "text", ["", "hat", "-5", "007", "0", "9" * 19, "9" * 400, "１２", "1.5", " 1", "1\n", "1-secret"]
)
async def test_what_is_no_id_is_not_judged(text: str) -> None:
    existing = made(ManualClock())
    await existing.rebuild(pages_of([]))
    assert existing.can_exist(text)


async def test_unknown_ids_of_the_future_are_denied_if_wished() -> None:
    clock = ManualClock()
    existing = made(clock, ahead_s=3_600)
    await existing.rebuild(pages_of([]))
    soon, late = at(seconds=3_500), at(seconds=3_700)
    assert existing.can_exist(str(soon))
    assert not existing.can_exist(str(late))
    assert not existing.can_exist(str(2**63 - 1))
    clock.advance(200)
    assert existing.can_exist(str(late))
    existing.note([2**63 - 1])
    assert existing.can_exist(str(2**63 - 1))


async def test_what_is_heard_of_exists_however_old_its_id_is() -> None:
    existing = made(ManualClock())
    old = at(seconds=-1e6)
    existing.note([old])  # too early to be of use, and no harm
    await existing.rebuild(pages_of([]))
    assert not existing.can_exist(str(old))

    for _ in range(2):
        existing.note([old])

    assert existing.can_exist(str(old))
    assert existing.count == 1


async def test_what_is_heard_of_during_a_rebuilding_is_known_before_and_after_it() -> None:
    existing = made(ManualClock())
    await existing.rebuild(pages_of([]))
    kept = [at(seconds=-1e6, slot=slot) for slot in range(4)]
    paused = Paused(pages_of(kept, size=1))
    rebuilding = asyncio.create_task(existing.rebuild(paused))
    await paused.go_on()
    await paused.go_on()
    late = at(seconds=-2e6)

    existing.note([late])

    assert existing.can_exist(str(late))
    assert not existing.can_exist(str(kept[0]))
    while not rebuilding.done():
        await paused.go_on()
    assert await rebuilding
    assert all(existing.can_exist(str(each)) for each in (late, *kept))


async def test_as_of_is_when_the_reading_began_however_long_it_takes() -> None:
    clock = ManualClock()
    existing = made(clock)
    paused = Paused(pages_of([1, 2], size=1))
    rebuilding = asyncio.create_task(existing.rebuild(paused))
    await paused.go_on()
    clock.advance(7_200)
    assert existing.as_of is None
    while not rebuilding.done():
        await paused.go_on()
    assert existing.as_of == START
    assert existing.can_exist(str(at(seconds=3_600)))


async def test_a_rebuilding_that_fails_changes_nothing_and_the_next_one_may_succeed() -> None:
    clock = ManualClock()
    existing = made(clock)
    old, older = at(seconds=-1e6), at(seconds=-2e6)
    await existing.rebuild(pages_of([old]))
    clock.advance(3_600)

    async def broken() -> AsyncIterator[Sequence[int]]:
        yield [older]
        raise ConnectionError("lost")

    with pytest.raises(ConnectionError):
        await existing.rebuild(broken)

    assert (existing.as_of, existing.count) == (START, 1)
    assert existing.can_exist(str(old))
    assert not existing.can_exist(str(older))
    memory_bytes = existing.memory_bytes
    assert await existing.rebuild(pages_of([old, older]))
    assert existing.can_exist(str(older))
    assert existing.memory_bytes == memory_bytes


async def test_a_rebuilding_that_is_broken_off_ends_its_reading_and_changes_nothing() -> None:
    existing = made(ManualClock())
    await existing.rebuild(pages_of([1]))
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[Sequence[int]]:
        try:
            while True:
                yield [2]
        finally:
            closed.set()

    rebuilding = asyncio.create_task(existing.rebuild(endless))
    for _ in range(5):
        await asyncio.sleep(0)
    rebuilding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rebuilding
    assert closed.is_set()
    assert (existing.can_exist("1"), existing.can_exist("2")) == (True, False)
    assert await existing.rebuild(pages_of([2]))


async def test_what_was_forgotten_denies_nothing_until_it_is_built_anew() -> None:
    existing = made(ManualClock())
    await existing.rebuild(pages_of([1]))
    assert not existing.can_exist("2")
    existing.forget()
    assert (existing.can_exist("2"), existing.as_of) == (True, None)
    assert await existing.rebuild(pages_of([1]))
    assert not existing.can_exist("2")


async def test_a_rebuilding_under_way_when_all_was_forgotten_does_not_count() -> None:
    existing = made(ManualClock())
    paused = Paused(pages_of([1, 2, 3], size=1))
    rebuilding = asyncio.create_task(existing.rebuild(paused))
    await paused.go_on()
    existing.forget()
    while not rebuilding.done():
        await paused.go_on()
    assert not await rebuilding
    assert (existing.as_of, existing.memory_bytes) == (None, 0)


async def test_one_rebuilding_waits_for_another() -> None:
    existing = made(ManualClock())
    first, second = Paused(pages_of([1])), Paused(pages_of([1, 2]))
    tasks = [asyncio.create_task(existing.rebuild(each)) for each in (first, second)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert (first.asked, second.asked) == (1, 0)
    while not tasks[0].done():
        await first.go_on()
    while not tasks[1].done():
        await second.go_on()
    assert existing.count == 2


async def test_others_get_their_turn_during_a_rebuilding() -> None:
    existing, turns = made(ManualClock(), capacity=100_000), 0
    rebuilding = asyncio.create_task(existing.rebuild(pages_of(range(1, 20 * ADDED_AT_ONCE), size=10 * ADDED_AT_ONCE)))
    while not rebuilding.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 20


async def test_more_ids_than_was_thought_are_read_once_more_into_a_filter_of_their_size() -> None:
    chance = random.Random(1)
    existing, begun = made(ManualClock(), capacity=1_000), 0
    ids = ids_since(50_000, chance=chance)

    async def pages() -> AsyncIterator[Sequence[int]]:
        nonlocal begun
        begun += 1
        async for page in pages_of(ids)():
            yield page

    assert await existing.rebuild(pages)
    assert (begun, existing.count) == (2, 50_000)
    assert all(existing.can_exist(str(each)) for each in ids)
    assert sum(existing.can_exist(str(each)) for each in ids_since(50_000, chance=chance)) / 50_000 <= 0.012

    assert await existing.rebuild(pages)
    assert begun == 3  # it is remembered how many there are


async def test_a_clock_that_went_ahead_and_was_set_back_is_not_believed_afterwards() -> None:
    clock = ManualClock(start=START + timedelta(days=1))
    existing = made(clock)
    await existing.rebuild(pages_of([]))
    clock.advance(3_600)
    unheard = at(seconds=1_800)  # of another process, whose clock goes right
    assert not existing.can_exist(str(unheard))

    clock.set_back(86_400)

    assert existing.can_exist(str(unheard))
    assert existing.as_of == START
    assert not existing.can_exist(str(at(seconds=-MARGIN_S - 1)))


async def test_of_a_million_random_old_ids_at_most_twelve_in_a_thousand_pass() -> None:
    chance = random.Random(7)
    existing = made(ManualClock(), capacity=200_000)
    ids = ids_since(200_000, chance=chance)
    await existing.rebuild(pages_of(ids, size=5_000))
    assert all(existing.can_exist(str(each)) for each in ids)

    passed = sum(existing.can_exist(str(each)) for each in ids_since(1_000_000, chance=chance, days=364))

    assert 0.006 <= passed / 1_000_000 <= 0.012


@pytest.mark.parametrize("step", [1, 1 << 10, 1 << 22, 3 << 22 | 5 << 10], ids=hex)
async def test_neither_do_more_of_those_beside_ids_that_follow_a_pattern(step: int) -> None:
    existing = made(ManualClock(), capacity=100_000)
    first = first_id_at(AGO)
    ids = [first + 2 * number * step for number in range(100_000)]
    await existing.rebuild(pages_of(ids))
    passed = sum(existing.can_exist(str(each + step)) for each in ids)
    assert passed / len(ids) <= 0.012


async def test_ten_million_ids_take_twelve_megabytes() -> None:
    existing = Existing(name="products", clock=ManualClock())
    await existing.rebuild(pages_of([1]))
    assert 11.9e6 < existing.memory_bytes < 12.1e6


MOST_SKEW_S = 150
SLOWEST_COMMIT_S = 300
"""Twice the skew and this are the margin."""
HEARD_S: list[tuple[int, ...]] = [(), (), (0,), (50,), (0, 0, 700), (2_000, 1), (90_000,)]
STEPS = st.one_of(
    st.tuples(
        st.just("make"),
        st.floats(-MOST_SKEW_S, MOST_SKEW_S),
        st.floats(0, SLOWEST_COMMIT_S),
        st.sampled_from(HEARD_S),
        st.integers(0, SLOTS - 1),
    ),
    st.tuples(st.just("rebuild"), st.integers(1, 3)),
    st.just(("read a page",)),
    st.just(("read on",)),
    st.just(("break off",)),
    st.tuples(st.just("wait"), st.floats(0, 400)),
    st.tuples(st.just("wait"), st.floats(0, 20_000)),
)


class World:
    """A table that several processes write, whose clocks differ; and one process that hears of it late, or never."""

    def __init__(self, *, skew_s: float) -> None:
        self._true = ManualClock()
        self._clock = ManualClock(start=START + timedelta(seconds=skew_s))
        self._existing = made(self._clock)
        self._committing: list[tuple[float, int]] = []
        self._hearing: list[tuple[float, int]] = []
        self._committed = [(slot, at(seconds=-1e7, slot=slot)) for slot in (5, 2_000, 4_000)]
        """Slot and id, in the order of the key."""
        self._paused = Paused(self._pages)
        self._rebuilding: asyncio.Task[bool] | None = None
        self._page = 1

    async def step(self, what: str, *details: Any) -> None:
        match what:
            case "make":
                self._make(*details)
            case "rebuild":
                await self._rebuild(*details)
            case "read a page":
                await self._paused.go_on()
            case "read on":
                while self._rebuilding is not None and not self._rebuilding.done():
                    await self._paused.go_on()
            case "break off":
                await self.end()
            case "wait":
                self._wait(*details)

    def _make(self, skew_s: float, commit_s: float, heard_s: tuple[int, ...], slot: int) -> None:
        now = self._true.monotonic()
        made_id = at(seconds=now + skew_s, slot=slot)
        self._committing.append((now + commit_s, made_id))
        self._hearing += [(now + commit_s + later, made_id) for later in heard_s]

    def _wait(self, seconds: float) -> None:
        self._true.advance(seconds)
        self._clock.advance(seconds)
        now = self._true.monotonic()
        committed = [(each >> 10 & (SLOTS - 1), each) for when, each in self._committing if when <= now]
        self._committing = [(when, each) for when, each in self._committing if when > now]
        self._committed = sorted({*self._committed, *committed})
        self._existing.note([each for when, each in self._hearing if when <= now])
        self._hearing = [(when, each) for when, each in self._hearing if when > now]

    async def _pages(self) -> AsyncIterator[Sequence[int]]:
        after = (-1, 0)
        while found := [row for row in self._committed if row > after][: self._page]:
            after = found[-1]
            yield [each for _, each in found]

    async def _rebuild(self, page: int) -> None:
        if self._rebuilding is None or self._rebuilding.done():
            self._page, self._paused = page, Paused(self._pages)
            self._rebuilding = asyncio.create_task(self._existing.rebuild(self._paused))
            for _ in range(5):
                await asyncio.sleep(0)

    async def end(self) -> None:
        if self._rebuilding is not None:
            self._rebuilding.cancel()
            await asyncio.gather(self._rebuilding, return_exceptions=True)

    def denied(self) -> list[int]:
        return [each for _, each in self._committed if not self._existing.can_exist(str(each))]


UNHEARD_SLOWLY_COMMITTED = [
    ("make", -149.0, 299.0, (), 1),
    ("wait", 298.0),
    ("rebuild", 3),
    ("read on",),
    ("wait", 2.0),
]
UNHEARD_IN_A_PLACE_READ_BEFORE = [
    ("rebuild", 1),
    ("read a page",),
    ("make", 0.0, 1.0, (), 1),
    ("wait", 9_000.0),
    ("read on",),
]


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=40), st.floats(-MOST_SKEW_S, MOST_SKEW_S))
@example(steps=UNHEARD_SLOWLY_COMMITTED, skew_s=149.0)
@example(steps=UNHEARD_IN_A_PLACE_READ_BEFORE, skew_s=0.0)
def test_an_id_that_exists_is_never_denied(steps: list[tuple[Any, ...]], skew_s: float) -> None:
    async def live() -> None:
        world = World(skew_s=skew_s)
        for step in steps:
            await world.step(*step)
            assert world.denied() == []
        await world.end()

    asyncio.run(live())
