"""When what is out of order is left alone, and when it is tried again."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.platform.resilience.breaker import JITTER, Breaker
from tests.clocks import ManualClock


def opened(clock: ManualClock, **options: float) -> Breaker:
    breaker = Breaker(clock=clock, failures=3, pause_s=1.0, longest_pause_s=8.0, **options)  # type: ignore[arg-type]
    for _ in range(3):
        assert breaker.allows()
        breaker.failed()
    return breaker


def test_it_is_closed_until_so_many_have_failed_in_a_row() -> None:
    breaker = Breaker(clock=ManualClock(), failures=3)
    for _ in range(2):
        breaker.failed()
    breaker.succeeded()
    for _ in range(2):
        breaker.failed()
    assert (breaker.state, breaker.allows(), breaker.opened) == ("closed", True, 0)

    breaker.failed()

    assert (breaker.state, breaker.allows(), breaker.opened) == ("open", False, 1)


def test_failures_that_lie_further_apart_than_the_window_do_not_open_it() -> None:
    clock = ManualClock()
    breaker = Breaker(clock=clock, failures=3, window_s=10)
    for _ in range(50):
        breaker.failed()
        clock.advance(5.1)
    assert breaker.state == "closed"


def test_failures_in_a_row_open_it_even_if_older_ones_lie_before_the_window() -> None:
    clock = ManualClock()
    breaker = Breaker(clock=clock, failures=3, window_s=10)
    breaker.failed()
    clock.advance(9)
    breaker.failed()
    clock.advance(2)
    breaker.failed()
    assert breaker.state == "closed"
    breaker.failed()
    assert breaker.state == "open"


def test_after_the_pause_one_at_a_time_may_probe_and_a_success_closes_it() -> None:
    clock = ManualClock()
    breaker = opened(clock)
    clock.advance(0.99)
    assert not breaker.allows()
    clock.advance(0.02)
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    assert breaker.state == "half-open"

    breaker.succeeded()

    assert breaker.state == "closed"
    assert all(breaker.allows() for _ in range(10))


def test_each_probe_that_fails_doubles_the_pause_up_to_the_longest() -> None:
    clock = ManualClock()
    breaker = opened(clock)
    for pause_s in (1, 2, 4, 8, 8, 8):
        clock.advance(pause_s - 0.01)
        assert not breaker.allows()
        clock.advance(0.02)
        assert breaker.allows()
        breaker.failed()
        assert breaker.state == "open"


def test_a_success_makes_the_next_pause_short_again_and_forgets_old_failures() -> None:
    clock = ManualClock()
    breaker = opened(clock)
    for pause_s in (1, 2, 4):
        clock.advance(pause_s)
        assert breaker.allows()
        breaker.failed()
    clock.advance(8)
    assert breaker.allows()
    breaker.succeeded()

    breaker.failed()
    breaker.failed()
    assert breaker.state == "closed"
    breaker.failed()
    clock.advance(1)
    assert breaker.allows()


def test_a_probe_that_never_reports_is_forgotten() -> None:
    clock = ManualClock()
    breaker = opened(clock, longest_probe_s=5.0)
    clock.advance(1)
    assert breaker.allows()
    clock.advance(4.9)
    assert not breaker.allows()
    clock.advance(0.2)
    assert breaker.state == "open"
    assert [breaker.allows(), breaker.allows()] == [True, False]
    breaker.succeeded()
    assert breaker.state == "closed"


def test_what_was_under_way_when_it_opened_changes_nothing() -> None:
    clock = ManualClock()
    breaker = opened(clock)
    for _ in range(100):
        breaker.failed()
    breaker.succeeded()
    assert (breaker.state, breaker.opened) == ("open", 1)
    clock.advance(1)
    assert breaker.allows()


@pytest.mark.parametrize("seed", range(5))
def test_with_chance_pauses_are_shorter_by_a_share_of_their_own(seed: int) -> None:
    clock = ManualClock()
    breaker = Breaker(clock=clock, failures=1, pause_s=1.0, chance=random.Random(seed))
    breaker.failed()
    share = 1 - JITTER * random.Random(seed).random()
    clock.advance(share - 0.001)
    assert not breaker.allows()
    clock.advance(0.002)
    assert breaker.allows()


@given(
    st.lists(st.tuples(st.sampled_from(("ask", "succeed", "fail")), st.floats(0, 3)), max_size=60), st.integers(1, 4)
)
def test_whatever_happens_it_is_tried_again_within_the_longest_pause_and_a_probe(
    happening: list[tuple[str, float]], failures: int
) -> None:
    clock = ManualClock()
    breaker = Breaker(clock=clock, failures=failures, longest_pause_s=4.0, longest_probe_s=2.0, chance=random.Random(1))
    for what, after_s in happening:
        clock.advance(after_s)
        if what == "ask":
            breaker.allows()
        elif what == "succeed":
            breaker.succeeded()
        else:
            breaker.failed()

    clock.advance(6.01)

    assert breaker.allows()
    breaker.succeeded()
    assert breaker.state == "closed"
