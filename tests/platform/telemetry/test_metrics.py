"""Request metrics, as Prometheus reads them."""

import gc
import time
from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from hansa.kernel.clock import SystemClock
from hansa.platform.telemetry.metrics import MOST_ROUTES, OTHER, Gauges, RequestMetrics
from tests.clocks import ManualClock

PRODUCT = "/api/v1/products/{id}"


class Shop:
    """Metrics with a clock, and visitors."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.registry = CollectorRegistry()
        self.metrics = RequestMetrics(clock=self.clock, registry=self.registry)

    def visit(self, *, lasts_s: float = 0.0, route: str = PRODUCT, status: int = 200, **more: Any) -> None:
        handle = self.metrics.started(route=route, **more)
        self.clock.advance(lasts_s)
        self.metrics.finished(handle, status)

    def samples(self) -> Mapping[tuple[str, ...], float]:
        families = text_string_to_metric_families(self.metrics.render().decode())
        return {
            (sample.name, *(f"{key}={value}" for key, value in sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }


def test_requests_are_counted_by_route_method_and_status():
    shop = Shop()
    shop.visit()
    shop.visit(status=201, method="POST")
    shop.visit(status=204, method="POST")
    shop.visit(status=503)
    shop.visit(status=0, method="BREW")
    name, route = "hansa_http_requests_total", f"route={PRODUCT}"
    samples = shop.samples()
    assert samples[name, "method=GET", route, "status=2xx"] == 1
    assert samples[name, "method=POST", route, "status=2xx"] == 2
    assert samples[name, "method=GET", route, "status=5xx"] == 1
    assert samples[name, "method=other", route, "status=unknown"] == 1


def test_response_times_are_told_as_histogram_mean_and_percentiles():
    shop = Shop()
    for number in range(1, 101):
        shop.visit(lasts_s=number / 1000)
    samples = shop.samples()
    route = f"route={PRODUCT}"
    assert samples["hansa_http_request_duration_seconds_count", route] == 100
    assert samples["hansa_http_request_duration_seconds_sum", route] == pytest.approx(5.05)
    assert samples["hansa_http_request_duration_seconds_bucket", "le=0.05", route] in (49, 50)
    assert samples["hansa_http_request_duration_seconds_bucket", "le=+Inf", route] == 100
    assert samples["hansa_http_request_mean_seconds", route] == pytest.approx(0.0505)
    for share, expected in (("0.5", 0.050), ("0.95", 0.095), ("0.99", 0.099)):
        found = samples["hansa_http_request_quantile_seconds", f"quantile={share}", route]
        assert found == pytest.approx(expected, rel=0.05)
        assert samples["hansa_http_all_requests_quantile_seconds", f"quantile={share}"] == found


def test_the_last_second_and_the_last_minute_are_told():
    shop = Shop()
    shop.clock.advance(100)
    for _ in range(5):
        shop.visit()
    shop.clock.advance(1)
    for _ in range(2):
        shop.visit(route="/")
    shop.clock.advance(1)
    figures = shop.metrics.figures()
    assert (figures.last_second, figures.last_minute) == (2, 7)
    assert {one.route: (one.last_second, one.last_minute) for one in figures.routes} == {PRODUCT: (0, 5), "/": (2, 2)}
    shop.clock.advance(59)
    assert shop.metrics.figures().last_minute == 2


def test_what_is_a_minute_old_is_no_longer_in_the_window_but_still_counted():
    shop = Shop()
    shop.visit(lasts_s=3, session_key="a")
    for silence_s in (62, 100_000):
        shop.clock.advance(silence_s)
        figures = shop.metrics.figures()
        assert (figures.requests, figures.last_minute, figures.concurrent_users) == (1, 0, 0)
        assert (figures.times.mean_s, figures.times.p99_s) == (0, 0)
        assert (figures.concurrent_maximum, figures.concurrent_mean) == (0, 0)


def test_concurrent_requests_have_a_mean_and_a_maximum():
    shop = Shop()
    handles = [shop.metrics.started(route=PRODUCT) for _ in range(4)]
    shop.clock.advance(5)
    for handle in handles[:3]:
        shop.metrics.finished(handle, 200)
    shop.clock.advance(5)
    figures = shop.metrics.figures()
    assert (figures.concurrent, figures.concurrent_maximum) == (1, 4)
    assert figures.concurrent_mean == pytest.approx(2.5)


def test_a_request_that_takes_very_long_is_seen_all_the_while():
    shop = Shop()
    handle = shop.metrics.started(route=PRODUCT)
    for _ in range(3):
        shop.clock.advance(1000)
        figures = shop.metrics.figures()
        assert (figures.concurrent, figures.concurrent_maximum) == (1, 1)
        assert figures.concurrent_mean == pytest.approx(1)
    shop.metrics.finished(handle, 200)
    assert shop.metrics.figures().concurrent == 0


def test_users_are_told_apart_by_their_sessions():
    shop = Shop()
    for key in ("token-of-ada", "token-of-bob", "token-of-ada", None):
        shop.visit(session_key=key)
    assert shop.samples()[("hansa_http_concurrent_users",)] == 2


def test_the_session_is_not_kept_anywhere():
    shop = Shop()
    token = "".join(["tok", "en-", str(time.perf_counter_ns())])
    shop.visit(session_key=token)
    assert token.encode() not in shop.metrics.render()
    gc.collect()
    holders = [
        one for one in gc.get_referrers(token) if isinstance(one, (dict, list, set, tuple)) and one is not locals()
    ]
    assert not holders


def test_routes_are_bounded_however_many_are_invented():
    shop = Shop()
    for number in range(MOST_ROUTES + 50):
        shop.visit(route=f"/{number}")
    routes = shop.metrics.figures().routes
    assert len(routes) == MOST_ROUTES + 1
    assert routes[-1].route == OTHER
    assert routes[-1].requests == 50


def test_other_figures_are_asked_for_when_the_metrics_are_read():
    shop = Shop()
    gauges = Gauges(registry=shop.registry)
    ages = {"orders": 2.5, "payments": 0.0}
    gauges.observe("hansa_outbox_age_seconds", "Age of the oldest unsent event.", lambda: ages, label="service")
    gauges.observe("hansa_dead_letters", "Parked events.", lambda: 3)
    samples = shop.samples()
    assert samples["hansa_outbox_age_seconds", "service=orders"] == 2.5
    assert samples[("hansa_dead_letters",)] == 3


def test_a_gauge_that_fails_does_not_take_the_others_with_it():
    shop = Shop()
    gauges = Gauges(registry=shop.registry)
    gauges.observe("hansa_broken", "Never there.", lambda: 1 / 0)
    gauges.observe("hansa_whole", "There.", lambda: 1)
    samples = shop.samples()
    assert samples[("hansa_whole",)] == 1
    assert ("hansa_broken",) not in samples
    with pytest.raises(ValueError, match="already"):
        gauges.observe("hansa_whole", "Again.", lambda: 2)


def test_a_request_costs_a_few_microseconds():
    metrics = RequestMetrics(clock=SystemClock(), registry=CollectorRegistry())
    rounds = 20_000
    started = time.perf_counter()
    for _ in range(rounds):
        metrics.finished(metrics.started(route=PRODUCT, session_key="token", method="GET"), 200)
    each_us = (time.perf_counter() - started) / rounds * 1e6
    assert each_us < 50, f"{each_us:.1f} µs"  # some 3 on an idle machine; the bound is for busy ones
