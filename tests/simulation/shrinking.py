"""Makes a failing plan smaller: fewer faults, machines and shoppers, as long as the same check finds something."""

from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from tests.simulation.plan import Plan
from tests.simulation.run import Outcome, simulated

MOST_RUNS = 400


def shrunk(outcome: Outcome, *, tell: Callable[[str], None] = lambda text: None, most_runs: int = MOST_RUNS) -> Plan:
    """A plan that still fails by the outcome's first check, and of which no part that was tried can be left out."""
    check, plan, runs = outcome.checks[0], outcome.plan, 0
    is_smaller = True
    while is_smaller and runs < most_runs:
        is_smaller = False
        for candidate in _smaller(plan, outcome):
            if runs >= most_runs:
                break
            runs += 1
            found = simulated(candidate)
            if check in found.checks:
                plan, outcome, is_smaller = candidate, found, True
                tell(f"{runs}: {_size(plan)}")
                break
    return plan


def _size(plan: Plan) -> str:
    size = plan.size
    actors = size.shoppers + size.staff + size.imports - len(size.without)
    return (
        f"{len(plan.happenings)} happenings, {len(plan.rates)} kinds of faults, {plan.machines} machines,"
        f" {actors} actors, {len(plan.skipped)} single faults left out"
    )


def _smaller(plan: Plan, outcome: Outcome) -> Iterator[Plan]:
    """Plans with less in them, the boldest first."""
    if plan.rates:
        yield replace(plan, rates={})
    if plan.happenings:
        yield replace(plan, happenings=())
    yield from (replace(plan, rates=_without(plan.rates, kinds)) for kinds in _parts(sorted(plan.rates)))
    yield from (
        replace(plan, happenings=tuple(h for h in plan.happenings if h not in part)) for part in _parts(plan.happenings)
    )
    actors = [name for name in _actors(plan) if name not in plan.size.without]
    yield from (_left_out(plan, part) for part in _parts(actors))
    size = plan.size
    for fewer in (
        {"steps": size.steps - 1} if size.steps > 1 else {},
        {"staff_steps": size.staff_steps - 1} if size.staff_steps > 1 else {},
    ):
        if fewer:
            yield replace(plan, size=replace(size, **fewer))
    if plan.is_wild:
        yield replace(plan, is_wild=False)
    if plan.machines > 1 and all(happening.machine < plan.machines - 1 for happening in plan.happenings):
        yield replace(plan, machines=plan.machines - 1)
    if plan.bus == "broker":
        yield replace(plan, bus="local")
    if outcome.drawn:
        numbers = [number for number in range(1, outcome.drawn + 1) if number not in plan.skipped]
        yield from (replace(plan, skipped=tuple(sorted((*plan.skipped, *part)))) for part in _parts(numbers))


def _parts(things: Sequence[object]) -> Iterator[Sequence[object]]:
    """Halves, quarters, and then each one by itself."""
    length = len(things) // 2
    while length >= 1:
        yield from (things[start : start + length] for start in range(0, len(things), length))
        length //= 2


def _without(rates: dict[str, float], kinds: Sequence[object]) -> dict[str, float]:
    return {kind: rate for kind, rate in rates.items() if kind not in kinds}


def _actors(plan: Plan) -> list[str]:
    size = plan.size
    counts = (("shopper", size.shoppers), ("staff", size.staff), ("import", size.imports))
    return [f"{kind}-{number}" for kind, count in counts for number in range(count)]


def _left_out(plan: Plan, part: Sequence[object]) -> Plan:
    return replace(plan, size=replace(plan.size, without=(*plan.size.without, *(str(name) for name in part))))
