"""docs/reliability.md names every invariant, state, fault and planted bug that there is, in the words of the code."""

from pathlib import Path

import pytest

from tests.simulation.invariants.every_check import EVERY_CHECK
from tests.simulation.plan import FAULTS, HAPPENING_NAMES
from tests.simulation.planted.faults import PLANTED
from tests.simulation.states import MARKED

TEXT = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text(encoding="utf-8")
ROWS = {
    *(f"| `{check.name}` | {check.sentence} |" for check in EVERY_CHECK),
    *(f"| {state} |" for state in MARKED),
    *(f"| {fault} |" for fault in (*FAULTS, *HAPPENING_NAMES.values())),
    *(f"| {name} |" for name in PLANTED),
}


@pytest.mark.parametrize("row", sorted(ROWS))
def test_it_stands_in_the_document(row: str) -> None:
    assert row in TEXT
