"""The sliding window: percentiles near the exact ones, levels over time, distinct keys in fixed memory."""

import math
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.platform.telemetry import window
from hansa.platform.telemetry.window import BUCKETS, SLICES, Distinct, Durations, Level, Seconds, quantile

RELATIVE_ERROR = 0.05
durations_s = st.floats(window.LOWEST_S, window.HIGHEST_S)


def exact(values: list[float], share: float) -> float:
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]


@given(values=st.lists(durations_s, min_size=1, max_size=200), share=st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_percentiles_are_within_five_percent_of_the_exact_ones(values: list[float], share: float):
    durations = Durations()
    for value in values:
        durations.add(value)
    assert quantile(durations.buckets, durations.count, share) == pytest.approx(
        exact(values, share), rel=RELATIVE_ERROR
    )
    assert durations.sum_s / durations.count == pytest.approx(math.fsum(values) / len(values))


@given(seconds=st.floats(0, 1e9))
def test_every_duration_has_a_bucket(seconds: float):
    assert 0 <= window.bucket_of(seconds) < BUCKETS


@given(steps=st.lists(st.none() | durations_s, max_size=200))
def test_only_the_last_slices_count(steps: list[float | None]):
    durations, slices = Durations(), [[]]  # type: tuple[Durations, list[list[float]]]
    for step in steps:
        if step is None:
            durations.next_slice()
            slices.append([])
        else:
            durations.add(step)
            slices[-1].append(step)
    kept = [value for one in slices[-SLICES:] for value in one]
    assert durations.count == len(kept) == sum(durations.buckets)
    assert durations.sum_s == pytest.approx(math.fsum(kept), abs=1e-6)


@given(counts=st.lists(st.integers(0, 5), min_size=1, max_size=150))
def test_the_last_second_and_minute_are_full_ones(counts: list[int]):
    seconds = Seconds()
    for count in counts:
        for _ in range(count):
            seconds.add()
        seconds.next_second()
    assert seconds.last_second == counts[-1]
    assert seconds.last_minute == sum(counts[-60:])


def test_a_level_knows_its_mean_and_maximum():
    level = Level(now_s=0)
    level.change(1, 0)
    level.change(3, 1)
    level.change(-2, 2)
    level.change(0, 4)
    assert (level.current, level.maximum) == (2, 4)
    assert level.mean == pytest.approx((1 * 1 + 4 * 1 + 2 * 2) / 4)


def test_a_level_forgets_its_maximum_but_not_where_it_stands():
    level = Level(now_s=0)
    level.change(9, 0)
    level.change(-7, 1)
    for number in range(1, SLICES + 1):
        level.next_slice(5.0 * number)
    assert (level.current, level.maximum) == (2, 2)
    level.change(0, 62)
    assert level.mean == pytest.approx(2)


@pytest.mark.parametrize(("number", "error"), [(0, 0), (1, 0), (5, 0.0), (100, 0.03), (10_000, 0.06), (200_000, 0.06)])
def test_distinct_keys_are_counted(number: int, error: float):
    distinct = Distinct()
    for seed in range(number):
        for _ in range(2):
            distinct.add(mixed(seed))
    assert distinct.count() == pytest.approx(number, rel=error)


def test_keys_of_long_ago_are_forgotten():
    distinct = Distinct()
    distinct.add(mixed(1))
    for _ in range(SLICES - 1):
        distinct.next_slice()
    distinct.add(mixed(2))
    assert distinct.count() == 2
    distinct.next_slice()
    assert distinct.count() == 1


def test_pythons_own_hash_of_tokens_is_mixed_well_enough():
    distinct = Distinct()
    for _ in range(5_000):
        distinct.add(hash(secrets.token_urlsafe(32)))
    assert distinct.count() == pytest.approx(5_000, rel=0.1)


def mixed(seed: int) -> int:
    """SplitMix64, so that the test does not depend on the process's hash key."""
    value = (seed + 1) * 0x9E3779B97F4A7C15 & (1 << 64) - 1
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & (1 << 64) - 1
    value = (value ^ value >> 27) * 0x94D049BB133111EB & (1 << 64) - 1
    return value ^ value >> 31
