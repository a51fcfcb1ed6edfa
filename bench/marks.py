"""What was set as a mark, and whether a run has met it."""

from dataclasses import dataclass
from typing import Literal

from bench.results import Results


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A series whose median must not be above, or not below, a limit."""

    series: str
    words: str
    kind: Literal["at most", "at least", "exactly"]
    limit: float
    unit: str = ""
    digits: int = 2

    def is_met(self, results: Results) -> bool | None:
        """None if it was not measured."""
        value = results.median(self.series)
        if value is None:
            return None
        if self.kind == "exactly":
            return all(each == self.limit for each in results.series[self.series])
        return value <= self.limit if self.kind == "at most" else value >= self.limit


def _mark(
    series: str,
    words: str,
    kind: Literal["at most", "at least", "exactly"],
    limit: float,
    unit: str = "",
    digits: int = 2,
) -> Mark:
    return Mark(series=series, words=words, kind=kind, limit=limit, unit=unit, digits=digits)


MARKS = (
    _mark("reads.detail.ratio", "CPU per read of a product (JSON) / nginx", "at most", 4, "x"),
    _mark("reads.list.ratio", "CPU per read of a list of 20 (JSON) / nginx", "at most", 4, "x"),
    _mark("reads.page.ratio", "CPU per read of a product's page (HTML) / nginx", "at most", 5, "x"),
    _mark("search.per_core", "different searches a second and core, 19,406 products", "at least", 1_500, "/s", 0),
    _mark("search.p95_ms", "search, p95 at 8 connections", "at most", 10, "ms", 1),
    _mark("orders.postgres.ratio", "orders on PostgreSQL / pgbench tps", "at least", 2, "x"),
    _mark("orders.sqlite.ratio", "orders on SQLite / pgbench tps (stretch: 3)", "at least", 1.5, "x"),
    _mark("orders.postgres.hot_ratio", "one hot variant / 1,000 spread, PostgreSQL", "at least", 0.9, "x"),
    _mark("orders.sqlite.hot_ratio", "one hot variant / 1,000 spread, SQLite", "at least", 0.9, "x"),
    _mark("lone.postgres.p50_ms", "one lone order, p50, PostgreSQL", "at most", 10, "ms", 1),
    _mark("lone.sqlite.p50_ms", "one lone order, p50, SQLite", "at most", 10, "ms", 1),
    _mark("memory.resident_mb", "memory of the shop after the run, 19,406 products", "at most", 200, "MB", 0),
    _mark("flash.sold", "flash sale: pieces sold of 100", "exactly", 100, "", 0),
    _mark("flash.p99_ms", "flash sale: p99 of an answer", "at most", 2_000, "ms", 0),
    _mark("flash.turned_away", "flash sale: turned away", "at least", 8_000, "/s", 0),
    _mark("flash.elsewhere_p95_ms", "an order elsewhere meanwhile, p95", "at most", 250, "ms", 0),
    _mark("flash_killed.sold", "flash sale, killed in the middle: pieces sold of 100", "exactly", 100, "", 0),
    _mark(
        "ladder.prediction_error",
        "throughput predicted at unmeasured concurrency, worst error",
        "at most",
        0.15,
    ),
    *(
        mark
        for broker, name in (("rabbitmq", "RabbitMQ"), ("kafka", "Kafka"))
        for mark in (
            _mark(f"messages.{broker}.rate", f"{name}: events from commit to effect", "at least", 5_000, "/s", 0),
            _mark(f"messages.{broker}.p50_ms", f"{name}: commit to effect, low load, p50", "at most", 50, "ms", 1),
        )
    ),
    _mark("cache.memory.hit_ratio", "CPU per read from memory / the bare library", "at most", 2, "x"),
    _mark("cache.redis.hit_ratio", "CPU per read from Redis / the bare client", "at most", 1.5, "x"),
    _mark("cache.redis.told_p99_ms", "from a change to another process's memory, p99, Redis", "at most", 100, "ms", 1),
    _mark("growth.cost_ratio", "CPU per order with 1 million stored / with 10 thousand", "at most", 1.1, "x"),
    _mark("growth.memory_mb", "growth of the shop's memory over 200,000 orders", "at most", 10, "MB", 0),
)
FIGURES = (
    ("pgbench.tps", "pgbench, TPC-B-like, 32 clients", "/s", 0),
    ("orders.postgres.spread", "orders on PostgreSQL, 1,000 variants", "/s", 0),
    ("orders.postgres.hot", "orders on PostgreSQL, one hot variant", "/s", 0),
    ("orders.sqlite.spread", "orders on SQLite, 1,000 variants", "/s", 0),
    ("orders.sqlite.hot", "orders on SQLite, one hot variant", "/s", 0),
    *(
        (f"reads.{what}.{server}_{unit}", f"{words}, {name}", label, digits)
        for what, words in (("detail", "product JSON"), ("list", "list of 20"), ("page", "product page"))
        for server, name in (("nginx", "nginx"), ("hansa", "Hansa"))
        for unit, label, digits in (("cpu_us", "us CPU", 1), ("rate", "/s", 0))
    ),
    ("search.rate", "searches, 8 connections", "/s", 0),
    *(
        (f"cost.{engine}.{what}", f"{name}, {words} per 1,000 orders", unit, digits)
        for engine, name in (("sqlite", "SQLite"), ("postgres", "PostgreSQL"))
        for what, words, unit, digits in (
            ("shop_cpu_s", "CPU of the shop", "s", 3),
            ("database_cpu_s", "CPU of the database", "s", 3),
            ("client_cpu_s", "CPU of the load generator", "s", 3),
            ("written_mb", "bytes written", "MB", 2),
            ("stored_mb", "growth of the database", "MB", 2),
            ("memory_mb", "growth of the shop's memory", "MB", 3),
        )
    ),
    ("memory.proportional_mb", "memory of the shop after the run, shared pages divided", "MB", 0),
    ("memory_small.resident_mb", "memory of the shop after the run, small catalogue", "MB", 0),
    ("memory_small.proportional_mb", "memory of the shop, shared pages divided, small catalogue", "MB", 0),
    ("ladder.error_of_few", "the law's worst error below 8 connections, to which it is not fitted", "", 2),
    ("ladder.little_error", "Little's law, worst error", "", 3),
    *(
        (f"messages.{broker}.{what}", f"{name}: {words}", unit, digits)
        for broker, name in (("rabbitmq", "RabbitMQ"), ("kafka", "Kafka"), ("redis", "Redis Streams"))
        for what, words, unit, digits in (
            *((("rate", "events from commit to effect", "/s", 0),) if broker == "redis" else ()),
            *((("p50_ms", "commit to effect, low load, p50", "ms", 1),) if broker == "redis" else ()),
            ("p99_ms", "commit to effect, low load, p99", "ms", 1),
            ("cpu_us", "CPU per event, both processes", "us", 0),
            ("broker_cpu_us", "CPU per event, broker", "us", 0),
            ("bare_rate", "bare client, no database", "/s", 0),
            ("bare_cpu_us", "CPU per event, bare client", "us", 0),
            ("ratio", "CPU per event / bare client", "x", 2),
        )
    ),
    ("cache.memory.hit_us", "read from memory", "us CPU", 2),
    ("cache.memory.bare_hit_us", "read from the bare library", "us CPU", 2),
    *(
        (f"cache.{store}.{what}", f"{name}: {words}", unit, digits)
        for store, name in (("redis", "Redis"), ("memcached", "Memcached"))
        for what, words, unit, digits in (
            ("hit_us", "read through the cache", "us CPU", 1),
            ("bare_hit_us", "read with the bare client", "us CPU", 1),
            *((("hit_ratio", "read through the cache / bare client", "x", 2),) if store == "memcached" else ()),
            ("miss_us", "change, miss and fill through the cache", "us CPU", 1),
            ("bare_miss_us", "delete, get and set with the bare client", "us CPU", 1),
            ("miss_ratio", "change, miss and fill / bare client", "x", 2),
            *(
                (("told_p50_ms", "from a change to another process's memory, p50", "ms", 1),)
                if store == "redis"
                else ()
            ),
        )
    ),
    ("flash.rate", "flash sale: answers", "/s", 0),
    ("flash_killed.turned_away", "flash sale, killed in the middle: turned away", "/s", 0),
    ("flash_killed.p99_ms", "flash sale, killed in the middle: p99 of an answer", "ms", 0),
)
"""Measured, without a mark of their own: series, words, unit, digits."""
