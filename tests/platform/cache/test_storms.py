"""The three ways in which a cache fails the truth behind it, and how little gets through: counted, not timed."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta

import pytest

from hansa.kernel.ids import SEQUENCES, SLOTS, first_id_at
from hansa.platform.cache.existing import Existing
from hansa.platform.cache.port import Entry
from tests.clocks import START, ManualClock
from tests.platform.cache.consistency import SkewedClock, SlowTruth
from tests.platform.cache.local_store import LocalStore
from tests.platform.cache.processes import Process, Truth
from tests.platform.cache.readers import Readers
from tests.redis_server import RedisServer
from tests.simulation.loop import SimulatedLoop

IDS = 200_000
CRAWLED = 100_000
MOST_LOADS_OF_A_CRAWLER = 1_500
SLUGS = 1_000
FILLED_TOGETHER = 50_000
MOST_IN_A_SECOND = 0.05
MOST_LOADS = 8
PROCESSES = 4
READERS = 500
"""In each process."""
FLUSHED_KEYS = 300
ROUNDS = 4


def invented_ids(number: int, *, chance: random.Random) -> list[int]:
    """As if made at any time within the last year."""
    first, last = first_id_at(START - timedelta(days=366)) >> 22, first_id_at(START - timedelta(days=1)) >> 22
    return [
        chance.randrange(first, last) << 22 | chance.randrange(SLOTS) << 10 | chance.randrange(SEQUENCES)
        for _ in range(number)
    ]


async def test_a_crawler_with_invented_ids_hardly_reaches_the_truth():
    chance, clock, truth = random.Random(7), ManualClock(), Truth()
    ids = set(invented_ids(IDS, chance=chance))
    existing = Existing(name="things", clock=clock, capacity=IDS)

    async def pages() -> AsyncIterator[Sequence[int]]:
        yield list(ids)

    await existing.rebuild(pages)
    process = Process(truth, clock=clock, store=LocalStore(), can_exist=lambda key: existing.can_exist(key[1:-1]))

    for each in invented_ids(CRAWLED, chance=chance):
        await process.get(f"{{{each}}}")

    print(f"{len(truth.asked)} loads, {process.shelf.counts.denied} denied, {existing.memory_bytes} bytes")
    assert 0 < len(truth.asked) <= MOST_LOADS_OF_A_CRAWLER
    for each in chance.sample(sorted(ids), k=1_000):
        truth.versions[f"{{{each}}}"] = 1
        assert await process.get(f"{{{each}}}") == 1, "nothing that exists is denied"


async def test_names_that_nobody_has_reach_the_truth_once_while_their_absence_is_known():
    clock, truth, store = ManualClock(), Truth(), LocalStore()
    processes = [Process(truth, clock=clock, store=store, seed=seed) for seed in range(PROCESSES)]
    chance = random.Random(7)

    for _ in range(5):
        for number in chance.sample(range(SLUGS), k=SLUGS):
            assert await chance.choice(processes).get(f"{{no-such-thing-{number}}}") is None

    assert len(truth.asked) == SLUGS


def fullest_second(moments: Iterable[int]) -> int:
    return max(Counter(moment // 1_000_000 for moment in moments).values())


async def test_what_is_filled_together_does_not_expire_together():
    clock, truth, store = ManualClock(), Truth(), LocalStore()
    process = Process(truth, clock=clock, store=store)
    for number in range(FILLED_TOGETHER):
        truth.versions[f"{{{number}}}"] = 1
        await process.get(f"{{{number}}}")

    entries: list[Entry] = list(store.entries.values())
    assert len(entries) == FILLED_TOGETHER
    fresh = fullest_second(entry.fresh_until for entry in entries)
    good = fullest_second(entry.good_until for entry in entries)
    print(f"in the fullest second {fresh} are fresh no more, and {good} good no more")
    assert max(fresh, good) <= FILLED_TOGETHER * MOST_IN_A_SECOND


def test_when_everything_is_lost_under_load_the_truth_is_asked_by_so_many_at_once_and_no_more():
    async def storm() -> tuple[int, list[int], int]:
        clock, store = SkewedClock(), LocalStore()
        versions = {f"{{{number}}}": 1 for number in range(FLUSHED_KEYS)}
        truths = [SlowTruth(versions, clock=clock, chance=random.Random(seed)) for seed in range(PROCESSES)]
        for truth in truths:
            truth.failing = truth.ending = 0
        processes = [
            Process(truth, clock=clock, store=store, seed=seed, most_loads=MOST_LOADS)
            for seed, truth in enumerate(truths)
        ]
        is_over = False
        reads = 0

        async def read(process: Process, chance: random.Random) -> None:
            nonlocal reads
            while not is_over:
                assert await process.get(chance.choice(tuple(versions))) == 1
                reads += 1
                await asyncio.sleep(chance.random())

        readers = [
            asyncio.create_task(read(process, random.Random(f"{place} {number}")))
            for place, process in enumerate(processes)
            for number in range(READERS)
        ]
        await asyncio.sleep(15)
        before = sum(process.shelf.counts.loads for process in processes)
        store.entries.clear()
        store.loans.clear()
        for process in processes:
            process.cache.missed()
        await asyncio.sleep(10)
        is_over = True
        await asyncio.gather(*readers)
        loads = sum(process.shelf.counts.loads for process in processes) - before
        return loads, [truth.most_inside for truth in truths], reads

    loop = SimulatedLoop(chance=random.Random(7), is_wild=False)
    try:
        loads, most_inside, reads = loop.run_until_complete(storm())
    finally:
        loop.forget()
        loop.close()

    print(f"{reads} reads, {loads} loads after the flush, at most {most_inside} at once")
    assert max(most_inside) <= MOST_LOADS
    assert loads == FLUSHED_KEYS, "by one process each"


@pytest.fixture
async def readers(redis_server: RedisServer) -> AsyncIterator[Readers]:
    redis_server.start()
    async with Readers(redis=f"{redis_server.url}?namespace=storms", processes=PROCESSES) as readers:
        yield readers


async def test_what_was_changed_is_loaded_once_for_500_readers_in_4_processes(readers: Readers):
    """Readers wait for that one load, so for no second one."""
    for version in range(1, ROUNDS + 1):
        await readers.change(version)
        seen = await readers.read_once(each=READERS // PROCESSES)

        assert seen == Counter({version: READERS})
        assert readers.loads == version


@pytest.mark.parametrize("is_served_stale", [True, False])
async def test_what_expires_under_500_readers_in_4_processes_is_loaded_once(readers: Readers, is_served_stale: bool):
    """A second load for the same expiry would begin before what the first one brought has expired."""
    await readers.change(1)
    await readers.read_until(each=READERS // PROCESSES, loads=ROUNDS + 1, is_served_stale=is_served_stale)

    early = [
        f"{begun} before {lasts_until}"
        for begun, lasts_until in zip(readers.begun[1:], readers.last_until, strict=False)
        if begun < lasts_until
    ]
    assert len(readers.begun) >= ROUNDS + 1
    assert early == []
    assert readers.most_inside == 1
