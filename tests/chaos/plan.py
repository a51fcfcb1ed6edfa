"""What is done to a shop and when: a timeline that follows from a seed, with every kind of fault in it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

SHORTEST_TURN_S = 2.4
LONGEST_TURN_S = 12.0
JUMPS_S = (7, 45, 240, 1300)
"""How far a clock jumps: below and above what waits, looks and holds take (the last: a reservation's whole time)."""
MOST_WRONG_S = 1800
HEAD_START_S = 1.0


class Kind(StrEnum):
    """Everything that is done to a shop."""

    KILL_SHOP = "kill -9 of the shop"
    FREEZE_SHOP = "SIGSTOP of the shop"
    RESTART_SHOP = "restart of the shop"
    FULL_DISK = "full disk"
    KILL_DATABASE = "kill -9 of the database"
    FREEZE_DATABASE = "SIGSTOP of the database"
    RESTART_DATABASE = "restart of the database"
    SLOW_CLIENTS = "slow line to the clients"
    CUT_CLIENTS = "cut connections of clients"
    HALF_CUT_CLIENTS = "half-open connections of clients"
    DEAF_CLIENTS = "black hole before the shop"
    SLOW_DATABASE = "slow line to the database"
    CUT_DATABASE = "cut connections to the database"
    HALF_CUT_DATABASE = "half-open connections to the database"
    DEAF_DATABASE = "black hole before the database"
    CLOCK_FORWARD = "clock jumps forward"
    CLOCK_BACK = "clock jumps back"


MACHINES = (Kind.KILL_SHOP, Kind.FREEZE_SHOP, Kind.RESTART_SHOP, Kind.FULL_DISK)
DATABASE_MACHINES = (Kind.KILL_DATABASE, Kind.FREEZE_DATABASE, Kind.RESTART_DATABASE)
LINES = (Kind.SLOW_CLIENTS, Kind.CUT_CLIENTS, Kind.HALF_CUT_CLIENTS, Kind.DEAF_CLIENTS)
DATABASE_LINES = (Kind.SLOW_DATABASE, Kind.CUT_DATABASE, Kind.HALF_CUT_DATABASE, Kind.DEAF_DATABASE)
CLOCKS = (Kind.CLOCK_FORWARD, Kind.CLOCK_BACK)
SUDDEN = (Kind.KILL_SHOP, Kind.KILL_DATABASE, Kind.RESTART_SHOP, Kind.RESTART_DATABASE, *CLOCKS)
"""What takes no time of its own; `lasts_s` is then how long the dead stay dead."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is done, in seconds after the beginning."""

    kind: Kind
    at_s: float
    lasts_s: float
    clock_s: int = 0
    """For clocks: by how much they are wrong from then on."""

    def __str__(self) -> str:
        wrong = f", {self.clock_s:+d} s from the truth" if self.kind in CLOCKS else ""
        return f"{self.at_s:6.1f} s  {self.kind} ({self.lasts_s:.1f} s{wrong})"


def timeline(*, seed: int, seconds: float, has_database: bool) -> list[Fault]:
    """Two rows of faults side by side, so that kinds meet: those of machines, and those of lines and clocks.

    Each row deals its kinds like cards: none comes a second time before all have come once, and where the time is
    long enough (see SHORTEST_TURN_S), all come.
    """
    chance = random.Random(f"chaos {seed} {has_database}")
    machines = [*MACHINES, *(DATABASE_MACHINES if has_database else ())]
    lines = [*LINES, *(DATABASE_LINES if has_database else ()), *CLOCKS]
    faults = [*_row(machines, chance, seconds), *_clocks(_row(lines, chance, seconds), chance)]
    return sorted(faults, key=lambda fault: (fault.at_s, fault.kind))


def _row(kinds: Sequence[Kind], chance: random.Random, seconds: float) -> list[Fault]:
    room = seconds - HEAD_START_S
    turn_s = min(max(room / len(kinds), SHORTEST_TURN_S), LONGEST_TURN_S)
    faults: list[Fault] = []
    deck: list[Kind] = []
    begins = HEAD_START_S
    while begins + turn_s <= seconds + 0.01:
        if not deck:
            deck = chance.sample(list(kinds), k=len(kinds))
        kind = deck.pop()
        # The rest of a turn belongs to recovery, without which there would be nothing left to break.
        longest = min(turn_s * 0.6, 6.0)
        lasts = chance.uniform(0, min(1.0, longest)) if kind in SUDDEN else chance.uniform(longest * 0.5, longest)
        faults.append(Fault(kind=kind, at_s=begins + chance.uniform(0, turn_s * 0.25), lasts_s=lasts))
        begins += turn_s
    return faults


def _clocks(faults: Sequence[Fault], chance: random.Random) -> list[Fault]:
    """Each jump starts from where the one before has led."""
    wrong = 0
    timed: list[Fault] = []
    for fault in faults:
        if fault.kind in CLOCKS:
            jump = chance.choice(JUMPS_S) * (1 if fault.kind is Kind.CLOCK_FORWARD else -1)
            wrong = max(-MOST_WRONG_S, min(MOST_WRONG_S, wrong + jump))
            fault = Fault(kind=fault.kind, at_s=fault.at_s, lasts_s=0, clock_s=wrong)
        timed.append(fault)
    return timed
