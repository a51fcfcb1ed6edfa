"""Which keys are found to be hot, how exactly, and how soon they are forgotten."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.platform.cache.hot import (
    COUNTERS_PER_KEY,
    HOT_PER_S,
    NOTES_BETWEEN_LOOKS,
    SETTLED_S,
    HotKeys,
)
from tests.clocks import ManualClock

WINDOW_S = 10.0


def zipf(chance: random.Random, *, keys: int, exponent: float, reads: int) -> list[str]:
    """Reads of keys whose n-th is read in proportion to 1 / n^exponent, in any order."""
    weights = [1 / (rank + 1) ** exponent for rank in range(keys)]
    return [f"key-{number}" for number in chance.choices(range(keys), weights=weights, k=reads)]


def read(hot: HotKeys, clock: ManualClock, reads: list[str], *, over_s: float) -> None:
    for key in reads:
        hot.note(key)
        clock.advance(over_s / len(reads))


def every(clock: ManualClock, hot: HotKeys, key: str, *, per_s: int, for_s: float) -> None:
    read(hot, clock, [key] * int(per_s * for_s), over_s=for_s)


@pytest.mark.parametrize("exponent", [0.6, 0.9, 1.1, 1.4])
@pytest.mark.parametrize("seed", range(3))
def test_no_count_is_too_large_and_none_too_small_by_more_than_its_share_of_the_error(
    seed: int, exponent: float
) -> None:
    clock, most = ManualClock(), 16
    hot = HotKeys(clock=clock, most=most, window_s=WINDOW_S)
    reads = zipf(random.Random(seed), keys=20_000, exponent=exponent, reads=30_000)
    read(hot, clock, reads, over_s=WINDOW_S * 0.999)

    found = {key: rate * WINDOW_S for key, rate in hot.top(most * COUNTERS_PER_KEY)}

    exact = Counter(reads)
    error = len(reads) / (most * COUNTERS_PER_KEY + 1)
    assert len(set(reads)) > most * COUNTERS_PER_KEY * 2  # else nothing would ever have been pruned
    assert [key for key in found if found[key] > exact[key] + 1e-6] == []
    assert [key for key in exact if found.get(key, 0) < exact[key] - error - 1e-6] == []
    assert {key for key in exact if exact[key] > error} <= set(found)


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 60), max_size=3_000),
    st.integers(1, 3),
    st.randoms(use_true_random=False),
)
def test_so_it_is_for_any_reads_whatever(numbers: list[int], most: int, chance: random.Random) -> None:
    clock = ManualClock()
    hot = HotKeys(clock=clock, most=most, window_s=WINDOW_S)
    counters = most * COUNTERS_PER_KEY
    for number in numbers:
        hot.note(f"key-{number}")
        assert hot.kept <= 2 * counters + NOTES_BETWEEN_LOOKS

    found = dict(hot.top(1_000))

    exact = Counter(f"key-{number}" for number in numbers)
    for key, count in exact.items():
        kept = found.get(key, 0) * WINDOW_S
        assert count - len(numbers) / (counters + 1) - 1e-6 <= kept <= count + 1e-6


def test_keys_as_many_as_there_are_counters_outlast_any_number_of_others() -> None:
    hot = HotKeys(clock=ManualClock(), most=1, window_s=WINDOW_S)
    often = [f"often-{number}" for number in range(COUNTERS_PER_KEY)]
    for key in often * 100:
        hot.note(key)
    seldom = [f"seldom-{number}" for number in range(2 * COUNTERS_PER_KEY + NOTES_BETWEEN_LOOKS)]
    for key in seldom:
        hot.note(key)

    found = dict(hot.top(COUNTERS_PER_KEY))

    error = (len(often) * 100 + len(seldom)) / (COUNTERS_PER_KEY + 1)
    assert set(found) == set(often)
    assert all(rate * WINDOW_S >= 100 - error for rate in found.values())


def test_the_keys_read_most_are_found_in_their_order() -> None:
    clock = ManualClock()
    hot = HotKeys(clock=clock, window_s=WINDOW_S)
    read(hot, clock, zipf(random.Random(5), keys=50_000, exponent=1.1, reads=100_000), over_s=WINDOW_S * 0.999)
    assert [key for key, _ in hot.top(5)] == [f"key-{number}" for number in range(5)]
    assert hot.is_hot("key-0")
    assert not hot.is_hot("key-40000")


def test_hot_is_what_is_read_often_enough() -> None:
    clock = ManualClock()
    hot = HotKeys(clock=clock, window_s=WINDOW_S)
    read(hot, clock, ["often", "often", "often", "seldom"] * int(HOT_PER_S * 7.5), over_s=15)
    for _ in range(30):
        read(hot, clock, ["often", "often", "often", "seldom"] * int(HOT_PER_S / 2), over_s=1)
        assert hot.is_hot("often")
        assert not hot.is_hot("seldom")
        assert not hot.is_hot("never")
        assert dict(hot.top(2)) == pytest.approx({"often": HOT_PER_S * 1.5, "seldom": HOT_PER_S / 2}, rel=0.15)


def test_no_more_are_hot_than_may_be() -> None:
    clock = ManualClock()
    hot = HotKeys(clock=clock, most=3, window_s=WINDOW_S)
    keys = [f"key-{number}" for number in range(5) for _ in range(1 + 5 - number)]
    for _ in range(100):
        read(hot, clock, keys, over_s=0.05)
    assert [key for key in sorted(set(keys)) if hot.is_hot(key)] == ["key-0", "key-1", "key-2"]


def test_what_suddenly_is_read_very_often_is_hot_within_about_a_second() -> None:
    clock = ManualClock()
    hot = HotKeys(clock=clock, window_s=WINDOW_S)
    every(clock, hot, "calm", per_s=5, for_s=60)
    every(clock, hot, "storm", per_s=1_000, for_s=SETTLED_S + 0.1)
    assert hot.is_hot("storm")


def test_what_was_hot_an_hour_ago_is_not() -> None:
    clock = ManualClock()
    hot = HotKeys(clock=clock, window_s=WINDOW_S)
    every(clock, hot, "then", per_s=500, for_s=30)
    assert hot.is_hot("then")

    clock.advance(3_600)

    assert not hot.is_hot("then")
    assert hot.top(10) == []
    every(clock, hot, "now", per_s=500, for_s=5)
    assert [key for key, _ in hot.top(10)] == ["now"]


@pytest.mark.parametrize("others_per_s", [0, 200])
def test_what_is_read_no_longer_is_forgotten_after_two_windows(others_per_s: int) -> None:
    clock = ManualClock()
    hot = HotKeys(clock=clock, window_s=WINDOW_S)
    every(clock, hot, "then", per_s=500, for_s=37)
    every(clock, hot, "others", per_s=others_per_s, for_s=WINDOW_S / 2) if others_per_s else clock.advance(5)
    assert hot.is_hot("then")
    every(clock, hot, "others", per_s=others_per_s, for_s=WINDOW_S * 1.5) if others_per_s else clock.advance(15)
    clock.advance(SETTLED_S)
    assert not hot.is_hot("then")


def test_a_crawler_with_invented_keys_drives_out_nothing_that_is_hot_and_fills_no_memory() -> None:
    clock = ManualClock()
    hot = HotKeys(clock=clock, most=32, window_s=WINDOW_S)
    for number in range(60_000):
        hot.note(f"invented-{number}")
        if number % 20 == 0:
            hot.note("hat")
        clock.advance(WINDOW_S / 10_000)
        if number > 10_000 and number % 500 == 0:
            assert hot.is_hot("hat")
    assert hot.kept <= 2 * (2 * 32 * COUNTERS_PER_KEY + NOTES_BETWEEN_LOOKS)
    assert [key for key, _ in hot.top(1)] == ["hat"]
