"""The whole shop, simulated: hundreds of seeds keep every promise, and a seed has one history."""

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.simulation.campaign import campaign, report
from tests.simulation.plan import Plan, drawn
from tests.simulation.run import at_work, simulated
from tests.simulation.states import MARKED

SEEDS = 300
REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*.json"))


@pytest.mark.timeout(600)
def test_every_seed_keeps_every_promise_and_together_they_reach_every_marked_state():
    summary = campaign(range(SEEDS))
    assert not summary.failures, report(summary)
    assert not summary.unlike, f"seeds with two histories: {summary.unlike}"
    assert summary.repeated >= SEEDS * 5 // 100
    assert set(MARKED) <= summary.states.keys(), sorted(set(MARKED) - summary.states.keys())


def test_another_seed_is_another_history():
    with at_work():
        assert len({simulated(drawn(seed)).digest for seed in (1, 2, 1)}) == 2


@pytest.mark.parametrize("file", REGRESSIONS, ids=lambda file: file.stem)
def test_what_was_found_once_stays_mended(file: Path):
    plan = msgspec.json.decode(file.read_bytes(), type=Plan)
    with at_work():
        outcome = simulated(plan, tells=True)
    assert not outcome.violations, "\n".join([*outcome.history, *outcome.violations])


def test_a_fault_that_is_left_out_does_not_strike():
    plan = next(plan for seed in range(1, 50) if len((plan := drawn(seed)).rates) > 5)
    with at_work():
        some = simulated(plan)
        none = simulated(replace(plan, skipped=tuple(range(1, some.drawn * 3))))
    assert sum(some.injected[kind] for kind in plan.rates if kind in some.injected) > 0
    assert not set(none.injected) & set(plan.rates)
