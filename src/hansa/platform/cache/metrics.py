"""What `/metrics` shows of the cache."""

from collections.abc import Iterable

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hansa.platform.cache.caching import Cache

STATES = ("closed", "half-open", "open")


class CacheMetrics(Collector):
    """By key family what became of reads; and of the whole memory, loads, and the store's health."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def collect(self) -> Iterable[Metric]:
        cache, shared = self._cache, self._cache.shared
        reads = CounterMetricFamily(
            "hansa_cache_reads",
            "Reads of the cache, by key family and what became of them.",
            labels=["family", "outcome"],
        )
        for name, shelf in cache.shelves.items():
            for outcome, count in msgspec.structs.asdict(shelf.counts).items():
                reads.add_metric([name, outcome], count)
        yield reads
        weights = GaugeMetricFamily(
            "hansa_cache_memory_family_bytes", "About how much memory the values of a family take.", labels=["family"]
        )
        for family, weight in cache.memory.by_family().items():
            weights.add_metric([family], weight)
        yield weights
        for what, text in (("memory_bytes", "Memory of the filters of ids."), ("count", "Ids that they know.")):
            gauge = GaugeMetricFamily(f"hansa_cache_filter_{what}", text, labels=["filter"])
            for each in cache.filters:
                gauge.add_metric([each.name], getattr(each, what))
            yield gauge
        keys, size = cache.memory.figures()
        yield GaugeMetricFamily("hansa_cache_memory_keys", "Values in this process's memory.", value=keys)
        yield GaugeMetricFamily("hansa_cache_memory_bytes", "About how much memory they take.", value=size)
        yield GaugeMetricFamily("hansa_cache_loads", "Loads that are at the databases now.", value=cache.gate.inside)
        yield GaugeMetricFamily("hansa_cache_loads_waiting", "Loads that wait for that.", value=cache.gate.waiting)
        yield GaugeMetricFamily(
            "hansa_cache_loads_most", "The most there ever were at once.", value=cache.gate.most_inside
        )
        yield GaugeMetricFamily(
            "hansa_cache_deaf", "1 while changes may pass unheard, so that memory is not used.", value=cache.is_deaf
        )
        if shared is not None:
            yield CounterMetricFamily(
                "hansa_cache_store_trouble", "Times that the store did not answer as it should.", value=shared.trouble
            )
            yield GaugeMetricFamily(
                "hansa_cache_store_pending", "Changes that the store has not been told yet.", value=shared.pending
            )
            breaker = GaugeMetricFamily(
                "hansa_cache_breaker", "1 for the state that the breaker before the store is in.", labels=["state"]
            )
            for state in STATES:
                breaker.add_metric([state], shared.breaker.state == state)
            yield breaker

    def describe(self) -> Iterable[Metric]:
        return ()
