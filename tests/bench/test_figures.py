"""Percentiles, medians, spread, and the law that throughput follows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import median, percentile, spread
from bench.parts.ladder import median_rung, parted
from bench.results import Rung
from bench.scalability import Scalability, TooFewPoints, fit, little_error

VALUES = st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=50)
RUNGS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


@given(VALUES, st.floats(min_value=0.01, max_value=1))
def test_a_percentile_is_the_least_value_that_enough_do_not_exceed(values: list[float], share: float):
    found = percentile(values, share)

    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < share * len(values) + 1e-9


def test_the_percentiles_of_a_hundred_values():
    values = [float(value) for value in range(1, 101)]

    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]


def test_nothing_has_no_percentile():
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


@given(VALUES)
def test_half_are_on_either_side_of_the_median(values: list[float]):
    middle = median(values)

    assert sum(value <= middle for value in values) * 2 >= len(values)
    assert sum(value >= middle for value in values) * 2 >= len(values)


def test_spread_is_half_the_range_as_a_share_of_the_median():
    assert spread([90, 100, 110]) == pytest.approx(0.1)
    assert spread([0, 0]) == 0


@given(
    st.floats(min_value=1, max_value=5_000),
    st.floats(min_value=-0.001, max_value=0.9),
    st.floats(min_value=0, max_value=0.01),
)
def test_the_law_is_found_again_from_what_it_says(rate: float, contention: float, coherence: float):
    law = Scalability(rate=rate, contention=contention, coherence=coherence)

    found = fit([(at_once, law.throughput(at_once)) for at_once in RUNGS])

    for at_once in (1, 3, 24, 100, 400):
        assert found.throughput(at_once) == pytest.approx(law.throughput(at_once), rel=0.01)


def test_the_law_is_found_through_noise_and_predicts_what_was_not_measured():
    law = Scalability(rate=120, contention=0.03, coherence=0.00002)
    noise = (1.03, 0.97, 1.04, 0.96, 1.02, 0.98, 1.03, 0.97, 1.02, 0.98)

    found = fit([(at_once, law.throughput(at_once) * off) for at_once, off in zip(RUNGS, noise, strict=True)])

    for at_once in (3, 12, 48, 200):
        assert found.throughput(at_once) == pytest.approx(law.throughput(at_once), rel=0.08)
    assert found.contention == pytest.approx(0.03, rel=0.2)


def test_the_best_concurrency_is_where_throughput_is_highest():
    law = Scalability(rate=10, contention=0.1, coherence=0.001)
    assert law.best is not None

    assert law.throughput(law.best) > max(law.throughput(law.best * 0.9), law.throughput(law.best * 1.1))
    assert Scalability(rate=10, contention=0.1, coherence=0).best is None


def test_two_points_are_too_few():
    with pytest.raises(TooFewPoints):
        fit([(1, 10), (2, 20)])


def test_by_littles_law_rate_times_time_is_how_many_are_there():
    assert little_error(connections=8, throughput=400, mean_s=0.02) == pytest.approx(0)
    assert little_error(connections=8, throughput=400, mean_s=0.01) == pytest.approx(-0.5)


def test_a_rung_that_was_climbed_three_times_is_as_its_middle():
    measured = [Rung(connections=8, throughput=rate, mean_ms=8_000 / rate) for rate in (100, 400, 200)]

    assert median_rung(measured) == Rung(connections=8, throughput=200, mean_ms=40)


def test_what_is_predicted_was_not_fitted_and_lies_in_between():
    ladder = [Rung(connections=rung, throughput=1, mean_ms=1) for rung in RUNGS]

    fitted, predicted = parted(ladder)

    assert [rung.connections for rung in predicted] == [32, 256]
    assert [rung.connections for rung in fitted] == [8, 16, 64, 128, 512]
