"""What happened to one order, product or payment in a run, in words: the first thing that a failing seed shows."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hansa.platform.database.statement import SQLITE, Statement

if TYPE_CHECKING:
    from tests.simulation.world import World

ALWAYS = ("happens", "starts", "dies", "is up", "faults are over")
"""Notes that belong to every history."""
_ID = re.compile(r"[1-9][0-9]{15,18}")
LONGEST = 400
"""Characters of one line."""


def told(world: "World", subjects: Sequence[str]) -> tuple[str, ...]:
    """The notes that mention one of the subjects, a line each, with the time."""
    names = [found.group() if (found := _ID.search(subject)) else subject for subject in subjects]
    lines = []
    for at, kind, what, data in world.notes:
        text = f"{what} {_in_words(data)}"
        if kind in ALWAYS or any(name in text for name in names):
            lines.append(f"{at:10.3f}  {kind}: {text}"[:LONGEST])
    return tuple(lines)


def _in_words(data: Any) -> str:
    if isinstance(data, list) and data and isinstance(data[0], tuple) and isinstance(data[0][0], Statement):
        return "; ".join(f"{_brief(statement)} {parameters}" for statement, parameters in data)
    return "" if data is None else str(data)


def _brief(statement: Statement) -> str:
    """The verb and the table of a statement."""
    words = statement.text(SQLITE).split()
    return " ".join(words[:3])
