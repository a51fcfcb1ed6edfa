"""Rare states that the simulator must reach: a campaign that never met one of them fails, for it proves little."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.simulation.invariants.evidence import Evidence

if TYPE_CHECKING:
    from tests.simulation.storage import Store
    from tests.simulation.world import World

DIED_IN_TRANSACTION = "a process died inside a transaction"
DIED_ASKED = "a process died with requests under way"
FROZE_IN_TRANSACTION = "a process froze inside a transaction"
WRONG_CLOCK = "something was committed while a clock stood wrong"
OFFERED_AGAIN = "an event was offered again to who had its effect"
PUBLISHED_TWICE = "an event was published twice"
MAILED_TWICE = "a mail was handed over twice"
REPLAYED = "an event was parked, and replayed by hand"
CHARGED_AGAIN = "the provider was asked again for a charge that it had taken"
EXPIRED_MEANWHILE = "a reservation expired while the payment was on its way"
SOLD_AFTER_ALL = "an expired reservation was sold after all"
REJECTED_THOUGH_PAID = "an order was rejected though it was paid, and the money given back"
CANCELLED_THOUGH_PAID = "an order was cancelled after it was paid, and the money given back"
PLACED_LATER = "an order was answered pending, and placed later"
OVERDUE = "an order was given up because its payment took too long"
SOLD_AGAIN = "pieces of a flash sale were given back, and sold again"

FROM_FAULTS = {
    "commit unknown, kept": "a commit was kept, and who asked was told of a fault",
    "commit unknown, not kept": "a commit was not kept, and who asked does not know",
    "disk full": "a disk was full for a while",
    "call doubled": "a call came twice",
    "answer after the deadline": "an answer came after the deadline",
    "request doubled": "a request came twice",
    "reply lost": "a reply was lost",
    "charge unanswered": "money may have been taken, and nobody was told",
    "webhook doubled": "a webhook came twice",
    "partition": "two parties could not reach each other",
}
FROM_ENDS = {
    "POST /orders 409 inventory.out_of_stock": "pieces ran out",
    "POST /orders 409 orders.cart_ordered": "a cart was ordered by somebody faster",
    "POST /orders 422 idempotency.key_reused": "a key was used for something else",
    "PATCH /admin/products/* 412 products.version_conflict": "a change met a newer version",
    "POST /flash-sales/*/orders 409 promotions.sold_out": "a flash sale was sold out",
    "POST /flash-sales/*/orders 403 promotions.over_limit": "somebody wanted more of a flash sale than one may have",
    "a line came while its cart was ordered": "a line came while its cart was ordered",
}
MARKED: tuple[str, ...] = (
    DIED_IN_TRANSACTION,
    DIED_ASKED,
    FROZE_IN_TRANSACTION,
    WRONG_CLOCK,
    OFFERED_AGAIN,
    PUBLISHED_TWICE,
    MAILED_TWICE,
    REPLAYED,
    CHARGED_AGAIN,
    EXPIRED_MEANWHILE,
    SOLD_AFTER_ALL,
    REJECTED_THOUGH_PAID,
    CANCELLED_THOUGH_PAID,
    PLACED_LATER,
    OVERDUE,
    SOLD_AGAIN,
    *FROM_FAULTS.values(),
    *FROM_ENDS.values(),
)
"""Each must be met by some seed of a campaign."""


class ReservationSight:
    """Sees reservations expire, and what becomes of them."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._expired: set[int] = set()

    def look(self, store: "Store", transaction: Any) -> None:
        if store.name != "inventory":
            return
        rows = {row[0]: row[1] for row in store.query("SELECT order_id, state FROM reservations WHERE state <> 'held'")}
        for order_id, state in rows.items():
            if state == "expired" and order_id not in self._expired:
                self._expired.add(order_id)
                under_way = "SELECT 1 FROM intents WHERE order_id = {} AND state IN ('created', 'pending')"
                if self._world.stores["payments"].query(under_way.format(order_id)):
                    self._world.states[EXPIRED_MEANWHILE] += 1
            elif state == "sold" and order_id in self._expired:
                self._expired.discard(order_id)
                self._world.states[SOLD_AFTER_ALL] += 1


def reached(world: "World", evidence: Evidence, met: Mapping[str, int]) -> dict[str, int]:
    """How often each state was met in a run that is over."""
    states = Counter(world.states)
    for fault, state in FROM_FAULTS.items():
        states[state] += world.faults.injected[fault]
    for end, state in FROM_ENDS.items():
        states[state] += met.get(end, 0)
    captured = {entry.key for entry in evidence.books if entry.kind == "captured"}
    status = {}
    for row in evidence.rows("orders", "orders"):
        status[str(row["order_id"])] = row["status"]
        if row["status"] == "rejected" and str(row["order_id"]) in captured:
            states[REJECTED_THOUGH_PAID] += 1
        if row["status"] == "cancelled" and str(row["order_id"]) in captured:
            states[CANCELLED_THOUGH_PAID] += 1
        if row["reason"] == "orders.payment_overdue":
            states[OVERDUE] += 1
    ever = sum(row["quantity"] for row in evidence.rows("promotions", "flash_claims") if row["state"] != "refused")
    if ever > sum(row["quantity"] for row in evidence.rows("promotions", "flash_sales")):
        states[SOLD_AGAIN] += 1
    for operation in evidence.operations:
        if (operation.verb, operation.path, operation.status) == ("POST", "/orders", 201):
            order = str(operation.answer["id"]).partition("-")[0]
            if operation.answer["status"] == "pending" and status.get(order) in ("placed", "completed"):
                states[PLACED_LATER] += 1
    return {state: count for state, count in states.items() if count}
