"""What a seed stands for: how large the run is, which faults it has and how often; small enough to be shrunk."""

import random
from typing import Literal

import msgspec

from tests.simulation.workload.size import Size

FAULTS: dict[str, float] = {
    "call lost": 0.01,
    "answer lost": 0.01,
    "call doubled": 0.02,
    "call late": 0.01,
    "answer after the deadline": 0.006,
    "request lost": 0.02,
    "reply lost": 0.03,
    "request doubled": 0.02,
    "commit unknown, kept": 0.006,
    "commit unknown, not kept": 0.006,
    "database busy": 0.004,
    "database slow": 0.01,
    "disk full for one": 0.003,
    "event doubled": 0.08,
    "events out of order": 0.15,
    "publication refused": 0.03,
    "confirm lost": 0.05,
    "delivery repeated": 0.05,
    "consumer cut off": 0.02,
    "charge lost": 0.03,
    "charge unanswered": 0.06,
    "charge doubled": 0.05,
    "provider late": 0.05,
    "webhook lost": 0.1,
    "webhook doubled": 0.2,
    "webhook late": 0.2,
    "mail refused": 0.03,
    "mail unanswered": 0.03,
}
"""Faults that strike single messages and commits, and how likely in a run that has them."""
PATIENCE = ((900.0, 600.0), (900.0, 600.0), (12.0, 8.0), (4.0, 2.5), (3.0, 6.0))
"""How long reservations and payments are waited for, as in life and shorter; the last as a careless owner would have
it, since no promise may hang on the order of the two."""
LARGE = 0.25
"""Of all runs, how many have many people; small ones find as much in less time, but not all."""
FAULTS_GO_ON_S = 15.0
"""Faults outlast the last arrival by so much."""
HAPPENINGS = ("kill", "freeze", "cut", "jump", "full")
"""Faults that strike machines for a while."""
HAPPENING_NAMES = {
    "kill": "process killed",
    "freeze": "process frozen",
    "cut": "partition",
    "jump": "clock jump",
    "full": "disk full",
}


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """Something that befalls a machine. `other` is who it is cut off from: a machine's number, or a name outside."""

    kind: Literal["kill", "freeze", "cut", "jump", "full"]
    at_s: float
    machine: int
    for_s: float = 0.0
    after_steps: int = 0
    """Of a kill and a freeze: so many callbacks of the process later, which may be anywhere."""
    other: str = ""
    seconds: float = 0.0
    """Of a jump: how far, ahead or back."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One run, wholly. The same plan has the same history."""

    seed: int
    is_wild: bool = False
    machines: int = 2
    bus: Literal["local", "broker"] = "local"
    routing: Literal["hashed", "random"] = "random"
    size: Size = Size()
    relay_every_s: float = 5.0
    batch: int = 256
    """Events that a relay publishes at once."""
    reservation_s: float = 900.0
    """How long pieces are held for an order; shorter than in life, so that it ends while money is on its way."""
    payment_limit_s: float = 600.0
    """How long an order waits for its payment."""
    attempts: int = 8
    """How often an event is offered to a consumer before it is parked."""
    rates: dict[str, float] = {}
    happenings: tuple[Happening, ...] = ()
    skipped: tuple[int, ...] = ()
    """Faults of `rates`, by number in the order of their coming, that are left out: for shrinking."""

    @property
    def faults_end_s(self) -> float:
        """From here on nothing goes wrong any more, and everything must come to its end."""
        return self.size.over_s + FAULTS_GO_ON_S


def drawn(seed: int) -> Plan:
    """The plan of a seed. One run in eight has no faults: what fails there fails by concurrency alone."""
    chance = random.Random(f"plan {seed}")
    reservation_s, payment_limit_s = chance.choice(PATIENCE)
    is_large = chance.random() < LARGE
    size = Size(
        shoppers=chance.randint(6, 14) if is_large else chance.randint(2, 7),
        steps=chance.randint(1, 3) if is_large else chance.randint(1, 2),
        staff=chance.choice((0, 1, 1, 2, 3)),
        staff_steps=chance.randint(2, 7),
        imports=int(chance.random() < 0.3),
        over_s=chance.choice((0.5, 5.0, 20.0)),
    )
    machines = chance.choice((1, 2, 2, 3))
    rates: dict[str, float] = {}
    happenings: list[Happening] = []
    if seed % 8:
        share = chance.choice((0.15, 0.4, 0.8))
        strength = chance.choice((0.5, 1.0, 3.0))
        for kind, rate in FAULTS.items():
            if chance.random() < share:
                rates[kind] = min(0.5, rate * strength * chance.uniform(0.5, 2.0))
        for kind in HAPPENINGS:
            if chance.random() < share:
                happenings += [_happening(chance, kind, machines, size) for _ in range(chance.randint(1, 2))]
    return Plan(
        seed=seed,
        is_wild=chance.random() < 0.5,
        machines=machines,
        bus=chance.choice(("local", "broker")),
        routing=chance.choice(("hashed", "random")),
        size=size,
        relay_every_s=chance.choice((2.0, 5.0, 20.0)),
        batch=chance.choice((1, 3, 256)),
        attempts=chance.choice((8, 8, 2, 1)),
        reservation_s=reservation_s,
        payment_limit_s=payment_limit_s,
        rates=rates,
        happenings=tuple(sorted(happenings, key=lambda happening: happening.at_s)),
    )


def _happening(chance: random.Random, kind: str, machines: int, size: Size) -> Happening:
    others = ["provider", "broker", "clients", "inventory", "orders", "payments", "carts", "users", "products"]
    others += [str(number) for number in range(machines)]
    back_or_ahead = chance.choice((-1, 1)) * chance.choice((0.5, 5.0, 60.0, 900.0)) * chance.uniform(0.5, 1.5)
    return Happening(
        kind=kind,  # type: ignore[arg-type]
        at_s=round(chance.uniform(0.0, size.over_s + FAULTS_GO_ON_S), 3),
        machine=chance.randrange(machines),
        for_s=round(chance.choice((0.5, 3.0, 12.0)) * chance.uniform(0.5, 1.5), 3),
        after_steps=chance.randrange(400) if kind in ("kill", "freeze") else 0,
        other=chance.choice(others) if kind == "cut" else chance.choice(others[3:9]) if kind == "full" else "",
        seconds=round(back_or_ahead, 3) if kind == "jump" else 0.0,
    )
