"""What `/metrics` shows of the cache, as whoever scrapes it reads it."""

from collections.abc import AsyncIterator, Sequence

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from hansa.platform.cache.existing import Existing
from hansa.platform.cache.metrics import CacheMetrics
from hansa.platform.cache.port import CacheTrouble, Entry, Loan
from hansa.platform.cache.shelf import NOTED_EVERY
from tests.clocks import ManualClock
from tests.platform.cache.local_store import LocalStore
from tests.platform.cache.processes import THINGS, Process, Truth

Samples = dict[tuple[str, ...], float]


def process(*, store: LocalStore | None = None) -> Process:
    truth = Truth()
    truth.versions["{1}"] = 1
    return Process(truth, clock=ManualClock(), store=store, is_alone=store is None)


def scraped(process: Process) -> Samples:
    """Samples by their name and the values of their labels."""
    registry = CollectorRegistry()
    registry.register(CacheMetrics(process.cache))
    text = generate_latest(registry).decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_reads_are_counted_by_family_and_outcome():
    kept = process(store=LocalStore())
    for key in ("{1}", "{2}", *["{1}"] * NOTED_EVERY):
        await kept.get(key)

    samples = scraped(kept)

    reads = {name[2]: value for name, value in samples.items() if name[:2] == ("hansa_cache_reads_total", THINGS.name)}
    assert (reads["memory"], reads["misses"], reads["loads"], reads["absent"]) == (NOTED_EVERY, 2, 2, 1)
    assert (reads["store"], reads["stale"], reads["failures"], reads["denied"]) == (0, 0, 0, 0)
    assert samples["hansa_cache_memory_keys",] == 2
    assert samples["hansa_cache_memory_bytes",] > 0
    assert (samples["hansa_cache_loads",], samples["hansa_cache_loads_most",]) == (0, 1)
    assert samples["hansa_cache_loads_waiting",] == 0
    assert samples["hansa_cache_deaf",] == 0


async def test_memory_is_told_by_family_and_by_filter():
    one = process()
    await one.get("{1}")
    existing = Existing(name="tests", clock=ManualClock(), capacity=10_000)

    async def pages() -> AsyncIterator[Sequence[int]]:
        yield [1, 2, 3]

    await existing.rebuild(pages)
    one.cache.filters.append(existing)
    samples = scraped(one)

    assert samples["hansa_cache_memory_family_bytes", THINGS.name] == samples["hansa_cache_memory_bytes",] > 0
    assert samples["hansa_cache_filter_memory_bytes", "tests"] > 10_000
    assert samples["hansa_cache_filter_count", "tests"] == 3


async def test_the_state_of_the_store_is_shown():
    class Sick(LocalStore):
        async def read(self, keys: object) -> list[Entry | None]:
            raise CacheTrouble("out of order")

        async def lend(self, key: str, *, now: int, for_s: float) -> Loan:
            raise CacheTrouble("out of order")

    kept = process(store=Sick())
    before = scraped(kept)
    for number in range(10):
        await kept.get(f"{{{number}}}")
    kept.cache.deaf()
    after = scraped(kept)

    states = ("closed", "half-open", "open")
    assert [before["hansa_cache_breaker", state] for state in states] == [1, 0, 0]
    assert [after["hansa_cache_breaker", state] for state in states] == [0, 0, 1]
    assert (before["hansa_cache_store_trouble_total",], before["hansa_cache_deaf",]) == (0, 0)
    assert after["hansa_cache_store_trouble_total",] > 0
    assert after["hansa_cache_deaf",] == 1
    assert after["hansa_cache_store_pending",] == 0


async def test_without_a_store_there_is_nothing_to_show_of_one():
    samples = scraped(process())

    assert not any("store" in name[0] or "breaker" in name[0] for name in samples)


@pytest.mark.parametrize("times", [1, 2])
def test_it_can_be_registered_before_anything_was_read(times: int):
    for _ in range(times):
        assert scraped(process())["hansa_cache_memory_keys",] == 0
