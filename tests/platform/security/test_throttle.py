"""The throttle: a few failures are forgiven, more have to wait, and memory stays bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.platform.security.throttle import Throttle, TooManyAttempts
from tests.clocks import ManualClock


def throttle_of(clock: ManualClock, *, largest: int = 100) -> Throttle:
    return Throttle(clock=clock, limit=3, window_s=60, largest=largest)


def fail(throttle: Throttle, times: int, key: str = "ada") -> None:
    for _ in range(times):
        throttle.failed(key)


def test_failures_below_the_limit_are_forgiven():
    throttle = throttle_of(ManualClock())
    fail(throttle, 2)
    throttle.check("ada")


def test_at_the_limit_one_has_to_wait_and_is_told_how_long():
    clock = ManualClock()
    throttle = throttle_of(clock)
    fail(throttle, 1)
    clock.advance(20)
    fail(throttle, 2)
    with pytest.raises(TooManyAttempts) as caught:
        throttle.check("ada")
    assert caught.value.retry_after_s == 40
    clock.advance(caught.value.retry_after_s)
    throttle.check("ada")


def test_the_window_slides_and_does_not_begin_anew():
    clock = ManualClock()
    throttle = throttle_of(clock)
    fail(throttle, 1)
    clock.advance(59)
    fail(throttle, 2)
    clock.advance(1)
    throttle.check("ada")
    fail(throttle, 1)
    with pytest.raises(TooManyAttempts):
        throttle.check("ada")


def test_a_success_forgets_the_failures():
    throttle = throttle_of(ManualClock())
    fail(throttle, 3)
    throttle.succeeded("ada")
    throttle.succeeded("nobody")
    throttle.check("ada")


def test_keys_do_not_hinder_each_other():
    throttle = throttle_of(ManualClock())
    fail(throttle, 3)
    throttle.check("bob")


def test_memory_is_bounded_and_the_longest_unheard_go_first():
    throttle = throttle_of(ManualClock(), largest=10)
    fail(throttle, 3)
    for number in range(9):
        throttle.failed(f"flood {number}")
    with pytest.raises(TooManyAttempts):
        throttle.check("ada")
    for number in range(9, 18):
        throttle.failed(f"flood {number}")
    with pytest.raises(TooManyAttempts):
        throttle.check("ada")
    assert len(throttle._failures) == 10


@given(pauses_s=st.lists(st.floats(0, 100), max_size=60))
def test_no_window_ever_sees_more_tries_than_the_limit(pauses_s: list[float]):
    clock = ManualClock()
    throttle = throttle_of(clock)
    tried: list[float] = []
    for pause_s in pauses_s:
        clock.advance(pause_s)
        try:
            throttle.check("ada")
        except TooManyAttempts:
            continue
        throttle.failed("ada")
        tried.append(clock.monotonic())
    for index, first in enumerate(tried):
        # A sum of floats: the very edge of the window is not meant.
        assert sum(moment < first + 60 - 1e-6 for moment in tried[index:]) <= 3
