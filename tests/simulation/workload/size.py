"""How much happens in a run: what a shrinker makes smaller."""

import msgspec


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How many actors there are, how much each does, and the seconds over which they arrive.

    What an actor does depends on the run's seed and its own name alone: taking others away, or its own last steps,
    leaves the rest of its doings as they are.
    """

    shoppers: int = 12
    steps: int = 3
    """Visits of each shopper to the shop."""
    staff: int = 2
    staff_steps: int = 6
    imports: int = 1
    over_s: float = 20.0
    without: tuple[str, ...] = ()
    """Actors left out, by name (`shopper-3`, `staff-0`, `import-0`)."""
