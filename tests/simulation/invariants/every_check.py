"""Every invariant of a shop at rest, and the verdict of all of them."""

from tests.simulation.invariants import (
    answers,
    flash,
    limits,
    messages,
    money,
    orders,
    pieces,
    promises,
    read_models,
)
from tests.simulation.invariants.evidence import Evidence, Violation
from tests.simulation.invariants.invariant import Invariant

EVERY_CHECK: tuple[Invariant, ...] = (
    *pieces.CHECKS,
    *money.CHECKS,
    *orders.CHECKS,
    *answers.CHECKS,
    *promises.CHECKS,
    *messages.CHECKS,
    *read_models.CHECKS,
    *limits.CHECKS,
    *flash.CHECKS,
)


def judge(evidence: Evidence) -> list[Violation]:
    """All that is wrong, in the order of the checks."""
    return [violation for check in EVERY_CHECK for violation in check(evidence)]
