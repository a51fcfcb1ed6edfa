"""What is planned to be done to a shop: all of it, in the time there is, and the same for the same seed."""

import pytest

from tests.chaos.plan import CLOCKS, DATABASE_LINES, DATABASE_MACHINES, LINES, MACHINES, MOST_WRONG_S, timeline

EMBEDDED = {*MACHINES, *LINES, *CLOCKS}
EVERY = EMBEDDED | {*DATABASE_MACHINES, *DATABASE_LINES}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("seconds", [34, 300, 600])
def test_every_kind_of_fault_has_its_turn_and_all_are_over_in_time(seed: int, seconds: float) -> None:
    for has_database, kinds in ((False, EMBEDDED), (True, EVERY)):
        plan = timeline(seed=seed, seconds=seconds, has_database=has_database)

        assert {fault.kind for fault in plan} == kinds
        assert all(fault.at_s > 0 and fault.at_s + fault.lasts_s <= seconds for fault in plan)
        assert all(abs(fault.clock_s) <= MOST_WRONG_S for fault in plan)


def test_the_same_seed_is_the_same_plan() -> None:
    first, again, other = (timeline(seed=seed, seconds=60, has_database=True) for seed in (1, 1, 2))

    assert first == again
    assert first != other
