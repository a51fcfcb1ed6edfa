"""Metrics in the Prometheus format: requests by route, how long they take, how many at once and by how many users."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping

import msgspec
import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hansa.kernel.clock import Clock
from hansa.platform.telemetry.window import BUCKETS, SLICE_S, WINDOW_S, Distinct, Durations, Level, Seconds, quantile

CONTENT_TYPE = CONTENT_TYPE_LATEST
MOST_ROUTES = 500
"""Routes beyond this number are counted together: a name made of a visitor's text must not fill the memory."""
OTHER = "other"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SHARES = (0.5, 0.95, 0.99)
AT_ONCE_S = 0.000_01
"""What is noted for an answer that was ready: the shortest time there is a bucket for."""

_log = structlog.get_logger(__name__)
_STATUS_CLASSES = ("unknown", "1xx", "2xx", "3xx", "4xx", "5xx")


class Times(msgspec.Struct, frozen=True):
    """Response times of the last minute, in seconds; percentiles are off by less than 4 %."""

    mean_s: float
    p50_s: float
    p95_s: float
    p99_s: float


class RouteFigures(msgspec.Struct, frozen=True):
    """What one route did."""

    route: str
    requests: int
    last_second: int
    last_minute: int
    times: Times


class Figures(msgspec.Struct, frozen=True):
    """What this process did: since its start, and in the last second and minute."""

    requests: int
    last_second: int
    last_minute: int
    times: Times
    concurrent: int
    concurrent_mean: float
    concurrent_maximum: int
    concurrent_users: int
    routes: tuple[RouteFigures, ...]


class _Route:
    """What is counted of one route."""

    __slots__ = ("at_once", "bounds", "counts", "durations", "name", "seconds", "sum_s")

    def __init__(self, name: str) -> None:
        self.name = name
        self.at_once = 0
        """Of the running second, and not entered in the rest yet."""
        self.counts: dict[tuple[str, int], int] = {}
        self.bounds = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0
        self.durations = Durations()
        self.seconds = Seconds()

    def enter(self) -> None:
        """Enter what was answered at once, all together."""
        if not self.at_once:
            return
        number, self.at_once = self.at_once, 0
        self.bounds[0] += number
        self.sum_s += number * AT_ONCE_S
        self.durations.add(AT_ONCE_S, number)
        self.seconds.add(number)

    @property
    def requests(self) -> int:
        return sum(self.counts.values())

    def figures(self) -> RouteFigures:
        return RouteFigures(
            route=self.name,
            requests=self.requests,
            last_second=self.seconds.last_second,
            last_minute=self.seconds.last_minute,
            times=_times(self.durations.buckets, self.durations.count, self.durations.sum_s),
        )


class Handle:
    """One request at work."""

    __slots__ = ("method", "route", "started_s")

    def __init__(self, route: _Route, method: str, started_s: float) -> None:
        self.route = route
        self.method = method
        self.started_s = started_s


class RequestMetrics(Collector):
    """Counts requests, in a few microseconds each and in fixed memory; for use on one loop, not from threads."""

    def __init__(self, *, clock: Clock, registry: CollectorRegistry) -> None:
        self._monotonic = clock.monotonic
        self._registry = registry
        self._routes: dict[str, _Route] = {}
        now_s = clock.monotonic()
        self._concurrent = Level(now_s=now_s)
        self._users = Distinct()
        self._second_ends_s = float(int(now_s) + 1)
        registry.register(self)

    def started(self, *, route: str, session_key: str | None = None, method: str = "GET") -> Handle:
        """A request has come. `route` is the pattern of a path, never the path itself; `session_key` tells users
        apart and is not kept."""
        now_s = self._monotonic()
        if now_s >= self._second_ends_s:
            self._roll(now_s)
        self._concurrent.change(1, now_s)
        if session_key:
            # Python's own hash of a text: SipHash under a key of this process alone.
            self._users.add(hash(session_key))
        counted = self._routes.get(route) or self._new_route(route)
        return Handle(counted, method if method in METHODS else OTHER, now_s)

    def finished(self, handle: Handle, status: int) -> None:
        """The answer is out, or the visitor gone. Once for each handle."""
        now_s = self._monotonic()
        if now_s >= self._second_ends_s:
            self._roll(now_s)
        self._concurrent.change(-1, now_s)
        route, elapsed_s = handle.route, now_s - handle.started_s
        counted = (handle.method, status // 100)
        route.counts[counted] = route.counts.get(counted, 0) + 1
        route.bounds[bisect_left(BOUNDS_S, elapsed_s)] += 1
        route.sum_s += elapsed_s
        route.durations.add(elapsed_s)
        route.seconds.add()

    def answered_at_once(self, *, route: str, session_key: str, method: str, status: int) -> None:
        """As `started` and `finished` of a request that was answered without waiting for anything: too short to be at
        work together with another one, and for a clock to tell its length."""
        now_s = self._monotonic()
        if now_s >= self._second_ends_s:
            self._roll(now_s)
        self._users.add(hash(session_key))
        counted = self._routes.get(route) or self._new_route(route)
        kind = (method, status // 100)
        counted.counts[kind] = counted.counts.get(kind, 0) + 1
        counted.at_once += 1

    def figures(self) -> Figures:
        """All figures at this moment, for pages that show them."""
        now_s = self._monotonic()
        self._roll(now_s)
        self._concurrent.change(0, now_s)
        routes = list(self._routes.values())
        for route in routes:
            route.enter()
        busy = [route.durations for route in routes if route.durations.count]
        buckets = [sum(column) for column in zip(*(one.buckets for one in busy), strict=True)] if busy else []
        return Figures(
            requests=sum(route.requests for route in routes),
            last_second=sum(route.seconds.last_second for route in routes),
            last_minute=sum(route.seconds.last_minute for route in routes),
            times=_times(buckets, sum(one.count for one in busy), sum(one.sum_s for one in busy)),
            concurrent=self._concurrent.current,
            concurrent_mean=self._concurrent.mean,
            concurrent_maximum=self._concurrent.maximum,
            concurrent_users=self._users.count(),
            routes=tuple(route.figures() for route in routes),
        )

    def render(self) -> bytes:
        """Everything in the registry, in the exposition format; send it as CONTENT_TYPE."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """What Prometheus is told, for the registry."""
        figures = self.figures()
        yield from self._counted()
        yield from _of_routes(figures.routes)
        yield from _of_process(figures)

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry would otherwise collect once, only to learn the names."""
        return ()

    def _counted(self) -> Iterable[Metric]:
        requests = CounterMetricFamily(
            "hansa_http_requests", "Requests answered, since the start.", labels=["route", "method", "status"]
        )
        times = HistogramMetricFamily(
            "hansa_http_request_duration_seconds", "Response times, since the start.", labels=["route"]
        )
        for route in self._routes.values():
            for (method, status), count in route.counts.items():
                name = _STATUS_CLASSES[status] if 0 < status < len(_STATUS_CLASSES) else _STATUS_CLASSES[0]
                requests.add_metric([route.name, method, name], count)
            times.add_metric([route.name], _cumulative(route.bounds), route.sum_s)
        return requests, times

    def _new_route(self, name: str) -> _Route:
        if len(self._routes) >= MOST_ROUTES:
            name = OTHER
        return self._routes.setdefault(name, _Route(name))

    def _roll(self, now_s: float) -> None:
        """Let all rings go on to this second. After a long silence one round empties them."""
        if now_s - self._second_ends_s > 2 * WINDOW_S:
            self._second_ends_s = float(int(now_s) - 2 * WINDOW_S)
            self._concurrent.change(0, self._second_ends_s)
        while now_s >= self._second_ends_s:
            self._next_second(self._second_ends_s)
            self._second_ends_s += 1

    def _next_second(self, begins_s: float) -> None:
        starts_slice = int(begins_s) % SLICE_S == 0
        for route in self._routes.values():
            route.enter()
            route.seconds.next_second()
            if starts_slice:
                route.durations.next_slice()
        if starts_slice:
            self._concurrent.next_slice(begins_s)
            self._users.next_slice()


Reading = float | Mapping[str, float]
"""What a gauge says: a number, or a number for each value of its label."""


class Gauges(Collector):
    """Figures that others keep (the outbox's age, dead letters), asked for whenever the metrics are read."""

    def __init__(self, *, registry: CollectorRegistry) -> None:
        self._observed: dict[str, tuple[str, str, Callable[[], Reading]]] = {}
        registry.register(self)

    def observe(self, name: str, help: str, callback: Callable[[], Reading], *, label: str = "") -> None:
        """Show what the callback says: a number, or, if there is a label, a number for each of its values.

        It is called on the loop and must answer at once. One that fails is logged and left out.
        """
        if name in self._observed:
            raise ValueError(f"the gauge {name} is observed already")
        self._observed[name] = (help, label, callback)

    def collect(self) -> Iterable[Metric]:
        for name, (text, label, callback) in self._observed.items():
            try:
                yield _gauge(name, text, label, callback())
            except Exception:
                _log.exception("a gauge could not be read", gauge=name)

    def describe(self) -> Iterable[Metric]:
        return ()


def _gauge(name: str, text: str, label: str, reading: Reading) -> Metric:
    if not isinstance(reading, Mapping):
        return GaugeMetricFamily(name, text, value=reading)
    gauge = GaugeMetricFamily(name, text, labels=[label])
    for value, number in reading.items():
        gauge.add_metric([value], number)
    return gauge


def _times(buckets: Iterable[int], count: int, sum_s: float) -> Times:
    column = list(buckets) or [0] * BUCKETS
    p50_s, p95_s, p99_s = (quantile(column, count, share) for share in SHARES)
    return Times(mean_s=sum_s / count if count else 0.0, p50_s=p50_s, p95_s=p95_s, p99_s=p99_s)


def _cumulative(counts: Iterable[int]) -> list[tuple[str, float]]:
    names = [*(str(bound) for bound in BOUNDS_S), "+Inf"]
    rising, total = [], 0
    for name, count in zip(names, counts, strict=True):
        total += count
        rising.append((name, float(total)))
    return rising


def _of_routes(routes: Iterable[RouteFigures]) -> Iterable[Metric]:
    mean = GaugeMetricFamily(
        "hansa_http_request_mean_seconds", "Mean response time of the last minute.", labels=["route"]
    )
    quantiles = GaugeMetricFamily(
        "hansa_http_request_quantile_seconds", "Response times of the last minute.", labels=["route", "quantile"]
    )
    second = GaugeMetricFamily("hansa_http_requests_last_second", "Requests in the last second.", labels=["route"])
    minute = GaugeMetricFamily("hansa_http_requests_last_minute", "Requests in the last minute.", labels=["route"])
    for one in routes:
        mean.add_metric([one.route], one.times.mean_s)
        for share, value_s in _by_share(one.times):
            quantiles.add_metric([one.route, share], value_s)
        second.add_metric([one.route], one.last_second)
        minute.add_metric([one.route], one.last_minute)
    return mean, quantiles, second, minute


def _of_process(figures: Figures) -> Iterable[Metric]:
    quantiles = GaugeMetricFamily(
        "hansa_http_all_requests_quantile_seconds",
        "Response times of the last minute, all routes.",
        labels=["quantile"],
    )
    for share, value_s in _by_share(figures.times):
        quantiles.add_metric([share], value_s)
    yield quantiles
    for name, text, value in (
        ("all_requests_mean_seconds", "Mean response time of the last minute, all routes.", figures.times.mean_s),
        ("all_requests_last_second", "Requests in the last second, all routes.", figures.last_second),
        ("all_requests_last_minute", "Requests in the last minute, all routes.", figures.last_minute),
        ("concurrent_requests", "Requests at work now.", figures.concurrent),
        ("concurrent_requests_mean", "Requests at work, mean of the last minute.", figures.concurrent_mean),
        ("concurrent_requests_maximum", "Requests at work, most in the last minute.", figures.concurrent_maximum),
        ("concurrent_users", "Different sessions in the last minute.", figures.concurrent_users),
    ):
        yield GaugeMetricFamily(f"hansa_http_{name}", text, value=value)


def _by_share(times: Times) -> Iterable[tuple[str, float]]:
    return zip((str(share) for share in SHARES), (times.p50_s, times.p95_s, times.p99_s), strict=True)
