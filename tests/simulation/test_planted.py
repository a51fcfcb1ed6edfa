"""Mistakes that are planted in the real code are found by the simulator; without them it finds nothing there."""

import pytest

from tests.simulation.plan import drawn
from tests.simulation.planted.faults import PLANTED
from tests.simulation.planted.hunt import hunted
from tests.simulation.run import at_work, simulated

WINDOW = 25
"""Seeds that are tried: as the workload changes, what was found by one seed is found by one of the next."""
ALL = 200
"""Seeds that are tried before a mistake counts as one that is not found any more."""
KNOWN: dict[str, tuple[int, list[str]]] = {
    "check, then act, on stock": (0, ["step.pieces", "pieces.ledger_makes_levels"]),
    "sent before published": (
        3,
        [
            "pieces.sold_to_orders",
            "pieces.reservations_end",
            "pieces.held_by_orders",
            "money.captured_means_placed",
            "orders.nothing_kept",
            "messages.handled_once",
            "messages.everything_said",
            "notifications.one_mail",
        ],
    ),
    "no inbox": (0, ["messages.everything_said"]),
    "stale count": (18, ["promises.counts_count", "version"]),
    "stale payment": (4, ["step.payments", "messages.everything_said"]),
    "release after capture": (0, ["money.captured_means_placed", "money.payments_end", "orders.nothing_kept"]),
    "new key for a charge": (0, ["money.captured_means_placed", "money.payments_equal_books"]),
    "new key for a refund": (3, ["drains", "money.payments_equal_books", "money.payments_end", "orders.nothing_kept"]),
    "late webhook ignored": (0, ["money.captured_means_placed", "money.payments_equal_books"]),
    "lost update in the cart": (1, ["promises.cart_lines_last", "promises.late_lines_go_on", "cart"]),
    "a read model skips an event": (3, ["home.cards"]),
    "two relays, one clears up": (4, ["messages.handled_once", "messages.everything_said"]),
    "two relays, one remembers": (33, ["drains", "messages.sent", "messages.handled_once", "messages.everything_said"]),
    "sweeper races payment": (
        0,
        [
            "step.pieces",
            "pieces.never_below_zero",
            "pieces.ledger_makes_levels",
            "pieces.reservations_end",
            "pieces.held_by_orders",
            "pieces.moved_once",
        ],
    ),
    "worker number shared": (12, ["no surprise"]),
    "silence is a no": (0, ["money.captured_means_placed", "money.payments_equal_books"]),
    "refund of what was paid": (10, ["step.payments", "money"]),
    "answer kept later": (88, ["answers.same_key_same_answer", "key"]),
    "unknown is failure": (10, ["money.refunds_asked_once"]),
    "unpaid pieces stay claimed": (0, ["flash.claims_are_orders"]),
    "event after the commit": (2, ["messages.handled_once", "messages.everything_said"]),
}
"""Where each mistake is found, and by which checks; `python -m tests.simulation.planted --known` prints it anew."""


def test_every_planted_fault_has_a_known_seed() -> None:
    assert KNOWN.keys() == PLANTED.keys()


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name: str) -> None:
    first, checks = KNOWN[name]

    found = hunted(name, range(first, first + WINDOW), by=checks)
    if found.seed is None:
        found = hunted(name, range(ALL), by=checks)

    assert found.seed is not None, f"{name} is not found any more"


def test_without_the_planting_nothing_is_found() -> None:
    seeds = sorted({seed for seed, _ in KNOWN.values()})

    with at_work():
        found = {seed: violations for seed in seeds if (violations := simulated(drawn(seed)).violations)}

    assert found == {}
