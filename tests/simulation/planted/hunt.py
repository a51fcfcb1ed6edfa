"""Looks for a planted fault, seed by seed, and tells what found it."""

from collections.abc import Collection, Iterable

import msgspec

from tests.simulation.plan import drawn
from tests.simulation.planted.faults import PLANTED
from tests.simulation.run import at_work, simulated


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Where a fault was found first, and by which checks; `seed` is None where it never was."""

    name: str
    seed: int | None = None
    checks: tuple[str, ...] = ()
    violations: tuple[str, ...] = ()


def hunted(name: str, seeds: Iterable[int], *, by: Collection[str] = ()) -> Found:
    """Run seed after seed with the fault until something is found that the code as it is does not show there; by one
    of certain checks, if any are named."""
    with at_work():
        simulated(drawn(0))  # the scene that every run begins with is set by the code as it is
        for seed in seeds:
            with PLANTED[name].plant():
                outcome = simulated(drawn(seed))
            if not outcome.violations:
                continue
            known = set(simulated(drawn(seed)).checks)
            checks = tuple(check for check in outcome.checks if check not in known)
            if any(check in by for check in checks) if by else checks:
                violations = tuple(text for text in outcome.violations if text.partition(":")[0] in checks)
                return Found(name=name, seed=seed, checks=checks, violations=violations)
    return Found(name=name)
