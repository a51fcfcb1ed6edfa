"""What a reader of the cache gets, and what the truth behind it is spared."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from hansa.kernel.clock import to_micros
from hansa.platform.cache.families import SPREAD
from hansa.platform.cache.port import CacheTrouble, Entry, Loan
from hansa.platform.cache.shared import LEASE_S
from hansa.platform.cache.shelf import UNTOLD_S
from hansa.platform.resilience.gate import GateFull
from tests.clocks import ManualClock
from tests.platform.cache.local_store import LocalStore
from tests.platform.cache.processes import THINGS, Process, Thing, Truth

KEY = "{1}"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def truth() -> Truth:
    truth = Truth()
    truth.versions[KEY] = 1
    return truth


def alone(truth: Truth, clock: ManualClock) -> Process:
    return Process(truth, clock=clock, is_alone=True)


def together(truth: Truth, clock: ManualClock, *, count: int = 2) -> tuple[LocalStore, list[Process]]:
    store = LocalStore()
    return store, [Process(truth, clock=clock, store=store, seed=seed) for seed in range(count)]


class Sick(LocalStore):
    """A store that can be in trouble, or lose what it is told."""

    is_well = True
    asked = 0

    def _ask(self) -> None:
        self.asked += 1
        if not self.is_well:
            raise CacheTrouble("out of order")

    async def read(self, keys: Sequence[str]) -> list[Entry | None]:
        self._ask()
        return await super().read(keys)

    async def lend(self, key: str, *, now: int, for_s: float) -> Loan:
        self._ask()
        return await super().lend(key, now=now, for_s=for_s)

    async def put(self, key: str, entry: Entry, *, token: int) -> bool:
        self._ask()
        return await super().put(key, entry, token=token)

    async def drop(self, keys: Sequence[str], *, cause: str = "") -> None:
        self._ask()
        await super().drop(keys, cause=cause)


async def test_a_value_is_loaded_once(truth: Truth, clock: ManualClock):
    process = alone(truth, clock)

    assert [await process.get(KEY) for _ in range(3)] == [1, 1, 1]
    assert truth.asked == [KEY]


async def test_absence_is_remembered_for_a_short_time(truth: Truth, clock: ManualClock):
    process = alone(truth, clock)

    assert [await process.get("{2}") for _ in range(3)] == [None] * 3
    assert truth.asked == ["{2}"]
    clock.advance(THINGS.absent_s * (1 + SPREAD))
    truth.versions["{2}"] = 7
    assert await process.get("{2}") == 7


async def test_what_cannot_exist_is_asked_of_nobody(truth: Truth, clock: ManualClock):
    process = Process(truth, clock=clock, store=(store := Sick()), can_exist=lambda key: key == KEY)

    assert (await process.get("{2}"), await process.get(KEY)) == (None, 1)
    assert truth.asked == [KEY]
    assert process.shelf.counts.denied == 1
    assert list(store.entries) == [process.shelf.name(KEY)]


async def test_all_who_ask_at_once_share_one_load(truth: Truth, clock: ManualClock):
    process = alone(truth, clock)
    truth.hold = asyncio.Event()
    readers = [asyncio.create_task(process.get(KEY)) for _ in range(50)]
    await asyncio.sleep(0)
    truth.hold.set()

    assert await asyncio.gather(*readers) == [1] * 50
    assert truth.asked == [KEY]


async def test_all_processes_share_one_load(truth: Truth, clock: ManualClock):
    _, processes = together(truth, clock, count=4)
    truth.hold = asyncio.Event()
    readers = [asyncio.create_task(process.get(KEY)) for process in processes for _ in range(10)]
    await clock.pass_time(1)
    truth.hold.set()
    await clock.pass_time(1)

    assert await asyncio.gather(*readers) == [1] * 40
    assert truth.asked == [KEY]


async def test_who_dies_while_loading_holds_nobody_up_for_longer_than_a_lease(truth: Truth, clock: ManualClock):
    store, (process, _) = together(truth, clock)
    await store.lend(process.shelf.name(KEY), now=to_micros(clock.now()), for_s=LEASE_S)
    reader = asyncio.create_task(process.get(KEY))
    await clock.pass_time(LEASE_S * 0.9)
    assert not reader.done()
    await clock.pass_time(LEASE_S * 0.2)

    assert await reader == 1


async def test_a_load_that_fails_hands_the_lease_on(truth: Truth, clock: ManualClock):
    _, (first, second) = together(truth, clock)
    truth.fails = True
    with pytest.raises(ConnectionError):
        await first.get(KEY)
    await first.cache.settled()
    truth.fails = False

    assert await second.get(KEY) == 1


async def test_what_is_not_fresh_is_served_while_one_loads_it(truth: Truth, clock: ManualClock):
    _, (first, second) = together(truth, clock)
    assert [await first.get(KEY), await second.get(KEY)] == [1, 1]
    truth.versions[KEY] = 2  # as the clock may change it: nobody tells
    clock.advance(THINGS.fresh_s * (1 + SPREAD))
    truth.hold = asyncio.Event()

    assert [await process.get(KEY) for process in (first, second) for _ in range(20)] == [1] * 40
    await clock.pass_time(0.1)
    assert truth.asked == [KEY] * 2
    truth.hold.set()
    await clock.pass_time(0.1)
    await first.cache.settled()
    await second.cache.settled()
    assert await first.get(KEY) == 2
    assert truth.asked == [KEY] * 2


async def test_a_truth_that_fails_is_not_noticed_while_a_value_is_good(truth: Truth, clock: ManualClock):
    process = alone(truth, clock)
    await process.get(KEY)
    truth.fails = True
    clock.advance(THINGS.fresh_s * 2)
    assert await process.get(KEY) == 1
    await process.cache.settled()
    assert await process.get(KEY) == 1
    await process.cache.settled()
    clock.advance(THINGS.good_s)

    with pytest.raises(ConnectionError):
        await process.get(KEY)


async def test_nobody_is_served_what_is_certainly_another_by_now(truth: Truth, clock: ManualClock):
    _, (first, second) = together(truth, clock)
    truth.good_until = to_micros(clock.now()) + 5_000_000
    assert [await first.get(KEY), await second.get(KEY)] == [1, 1]
    truth.versions[KEY], truth.good_until = 2, None
    clock.advance(5)

    assert [await first.get(KEY), await second.get(KEY)] == [2, 2]


async def test_a_change_is_seen_by_the_next_read_of_every_process(truth: Truth, clock: ManualClock):
    _, (first, second) = together(truth, clock)
    await first.get(KEY)
    await second.get(KEY)
    first.put(KEY, 2)
    assert await first.get(KEY) == 2
    await first.cache.quiet()

    assert await second.get(KEY) == 2


async def test_who_asks_after_a_change_shares_nothing_that_began_before_it(truth: Truth, clock: ManualClock):
    process = alone(truth, clock)
    truth.hold = asyncio.Event()
    early = asyncio.create_task(process.get(KEY))
    await clock.pass_time(0)
    process.put(KEY, 2)
    late = asyncio.create_task(process.get(KEY))
    await clock.pass_time(0)
    truth.hold.set()

    assert [await early, await late] == [1, 2]
    assert await process.get(KEY) == 2


async def test_a_late_loader_puts_nothing_over_what_is_newer(truth: Truth, clock: ManualClock):
    store, (first, second) = together(truth, clock)
    truth.hold = held = asyncio.Event()
    late = asyncio.create_task(first.get(KEY))
    await clock.pass_time(0)
    truth.hold = None
    second.put(KEY, 2)
    await second.cache.quiet()
    assert await second.get(KEY) == 2
    held.set()

    assert await late == 1
    assert store.entries[second.shelf.name(KEY)].version == 2
    assert await first.get(KEY) == 2


async def test_who_has_seen_a_version_sees_no_older_one_in_the_store(truth: Truth, clock: ManualClock):
    """As after a failover to a copy that was behind."""
    store, (process, _) = together(truth, clock)
    await process.get(KEY)
    old = dict(store.entries)
    process.put(KEY, 2)
    await process.cache.quiet()
    assert await process.get(KEY) == 2
    store.entries.update(old)
    process.cache.missed()

    assert await process.get(KEY) == 2
    assert await process.get(KEY) == 2


async def test_a_store_that_is_away_fails_nobody_and_is_left_alone(truth: Truth, clock: ManualClock):
    store = Sick()
    process = Process(truth, clock=clock, store=store)
    store.is_well = False

    assert [await process.get(f"{{{number}}}") for number in range(100)] == [None, 1, *[None] * 98]
    assert store.asked < 10
    store.is_well = True
    clock.advance(60)
    assert await process.get("{x}") is None
    assert process.shelf.name("{x}") in store.entries


async def test_a_change_that_the_store_was_not_told_is_not_undone_by_it(truth: Truth, clock: ManualClock):
    store = Sick()
    process = Process(truth, clock=clock, store=store)
    await process.get(KEY)
    store.is_well = False
    process.put(KEY, 2)
    await process.cache.quiet()
    process.cache.memory.forget_everything()
    process.cache._seen.clear()
    store.is_well = True

    assert await process.get(KEY) == 2
    assert store.entries[process.shelf.name(KEY)].version == 1
    await clock.pass_time(10)
    assert process.cache.shared is not None
    assert process.cache.shared.pending == 0
    assert process.shelf.name(KEY) not in store.entries


async def test_more_changes_than_can_be_remembered_make_the_store_untrusted(
    truth: Truth, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("hansa.platform.cache.dropping.MOST_PENDING", 3)
    store = Sick()
    process = Process(truth, clock=clock, store=store)
    await process.get(KEY)
    clock.advance(1)
    store.is_well = False
    for number in range(2, 8):
        process.put(f"{{{number}}}", 1)
    process.put(KEY, 2)
    store.is_well = True
    process.cache.memory.forget_everything()
    process.cache._seen.clear()
    await clock.pass_time(0)

    assert await process.get(KEY) == 2


async def test_the_truth_is_asked_by_so_many_at_once_and_no_more(truth: Truth, clock: ManualClock):
    process = Process(truth, clock=clock, is_alone=True, most_loads=4)
    truth.hold = asyncio.Event()
    readers = [asyncio.create_task(process.get(f"{{{number}}}")) for number in range(100)]
    await clock.pass_time(0)
    truth.hold.set()
    await asyncio.gather(*readers)

    assert truth.most_inside == 4
    assert len(truth.asked) == 100


async def test_beyond_a_bound_nobody_waits(truth: Truth, clock: ManualClock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hansa.platform.cache.caching.MOST_WAITING", 2)
    process = Process(truth, clock=clock, is_alone=True, most_loads=1)
    truth.hold = asyncio.Event()
    readers = [asyncio.create_task(process.get(f"{{{number}}}")) for number in range(4)]
    await clock.pass_time(0)
    truth.hold.set()

    outcomes = await asyncio.gather(*readers, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome != 1 and outcome is not None] == [GateFull]


@pytest.mark.parametrize("value", [b"[]", b'{"text":"x"}', b"", b'{"version":"1"}', b"[" * 5_000])
async def test_what_another_release_has_written_is_a_miss(truth: Truth, clock: ManualClock, value: bytes):
    store, (process, other) = together(truth, clock)
    await other.get(KEY)
    name = process.shelf.name(KEY)
    store.entries[name] = msgspec.structs.replace(store.entries[name], value=value)

    assert await process.get(KEY) == 1
    assert store.entries[name].value == msgspec.json.encode(Thing(1))


@pytest.mark.parametrize("key", ["{ü}", "{" + "x" * 300 + "}", "{a b}", "{\n}"])
async def test_a_key_that_no_store_takes_is_answered_all_the_same(truth: Truth, clock: ManualClock, key: str):
    store, (process, _) = together(truth, clock)
    truth.versions[key] = 3

    assert await process.get(key) == 3
    assert store.entries == {}


async def test_who_may_not_hear_of_changes_keeps_nothing_in_memory(truth: Truth, clock: ManualClock):
    store, (process, other) = together(truth, clock)
    await process.get(KEY)
    process.cache.deaf()
    await process.get(KEY)
    store._listeners.remove(process.cache)
    other.put(KEY, 2)
    await other.cache.quiet()
    assert await process.get(KEY) == 2
    process.cache.missed()
    await process.get(KEY)

    assert process.cache.memory.get(process.shelf.name(KEY)) is not None


async def test_where_changes_are_not_told_memory_is_short(truth: Truth, clock: ManualClock):
    process = Process(truth, clock=clock)
    await process.get(KEY)
    truth.versions[KEY] = 2
    clock.advance(UNTOLD_S)

    assert await process.get(KEY) == 2


async def test_what_is_hot_is_loaded_anew_before_it_ends(truth: Truth, clock: ManualClock):
    process = alone(truth, clock)
    await process.get(KEY)
    process.shelf.renew(KEY, within_s=1)
    await process.cache.settled()
    assert truth.asked == [KEY]
    clock.advance(THINGS.fresh_s * (1 - SPREAD) - 0.5)
    process.shelf.renew(KEY, within_s=THINGS.fresh_s * SPREAD * 2 + 1)
    await process.cache.settled()

    assert truth.asked == [KEY] * 2


async def test_clocks_that_jump_keep_nothing_for_ever(truth: Truth, clock: ManualClock):
    process = alone(truth, clock)
    truth.hold = asyncio.Event()
    reader = asyncio.create_task(process.get(KEY))
    await clock.pass_time(0)
    clock.set_back(365 * 24 * 3600)
    truth.hold.set()
    await reader
    truth.versions[KEY] = 2
    clock.advance(THINGS.good_s * (1 + SPREAD))

    assert await process.get(KEY) == 2
