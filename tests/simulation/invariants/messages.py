"""Messages: everything that was said was sent, heard by everyone concerned, and had its effect once."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from hansa.services.orders.events import OrderCancelled, OrderFulfilled, OrderPlaced, OrderRejected
from hansa.services.payments.events import PaymentCaptured, PaymentRefunded
from hansa.services.products.events import ProductPut
from tests.simulation.invariants.evidence import Evidence
from tests.simulation.invariants.invariant import Finding, invariant

CLOSING = "carts.close_ordered"
"""Hears of orders that came of a cart; the other consumers hear of everything."""


@invariant("messages.sent")
def sent(evidence: Evidence) -> Iterator[Finding]:
    """Nothing is left in any outbox."""
    for (service, table), rows in evidence.tables.items():
        if table == "outbox":
            for row in rows:
                yield row["event_id"], f"{service} has not sent it: {str(row['envelope'])[:120]}"


@invariant("messages.no_dead_letters")
def no_dead_letters(evidence: Evidence) -> Iterator[Finding]:
    """No consumer has parked an event."""
    for (service, table), rows in evidence.tables.items():
        if table == "dead_letters":
            for row in rows:
                yield row["event_id"], f"{row['consumer']} of {service} gave it up: {str(row['error'])[:120]}"


@invariant("messages.handled_once")
def handled_once(evidence: Evidence) -> Iterator[Finding]:
    """Every event that was committed was handled by each of its consumers exactly once, and no other one was."""
    handled = {key: Counter[int]() for consumers in evidence.consumers.values() for key in consumers}
    for service in sorted({service for service, _ in handled}):
        for row in evidence.rows(service, "inbox"):
            handled.setdefault((service, row["consumer"]), Counter())[row["event_id"]] += 1
    events: dict[str, set[int]] = defaultdict(set)
    for said, type_ in evidence.emitted.items():
        events[type_].add(int(said))
    for type_, consumers in evidence.consumers.items():
        # What one consumer has heard the others must have heard as well, whether its commit was watched or not.
        wanted = events[type_].union(*(handled[key] for key in consumers))
        for service, consumer in consumers:
            counts = handled[service, consumer]
            yield from (
                (it, f"{consumer} of {service} has never handled this {type_}") for it in wanted - counts.keys()
            )
            for event_id, times in counts.items():
                if times > 1:
                    yield event_id, f"{consumer} of {service} has handled it {times} times"
    for name, effects in evidence.sent.items():
        hearer, _, event = name.partition(" ")
        if effects != 1:
            yield event, f"{hearer} committed its effect {effects} times"
        if evidence.emitted and event not in evidence.emitted:
            yield event, f"{hearer} has handled what nobody has said"


@invariant("messages.everything_said")
def everything_said(evidence: Evidence) -> Iterator[Finding]:
    """As many events of each kind were heard as orders, payments and products have had such things happen to them."""
    if not evidence.consumers:
        return
    happened: Counter[str] = Counter()
    kinds = {
        "placed": OrderPlaced.type,
        "rejected": OrderRejected.type,
        "cancelled": OrderCancelled.type,
        "fulfilled": OrderFulfilled.type,
    }
    happened.update(dict.fromkeys(kinds.values(), 0))
    for row in evidence.rows("orders", "order_entries"):
        if row["kind"] in kinds:
            happened[kinds[row["kind"]]] += 1
    happened[PaymentCaptured.type] = sum(row["state"] == "captured" for row in evidence.rows("payments", "intents"))
    happened[PaymentRefunded.type] = sum(row["state"] == "refunded" for row in evidence.rows("payments", "refunds"))
    happened[ProductPut.type] = sum(row["version"] for row in evidence.rows("products", "products"))
    for type_, number in happened.items():
        for service, consumer in evidence.consumers.get(type_, ()):
            heard = sum(row["consumer"] == consumer for row in evidence.rows(service, "inbox"))
            if heard != number:
                yield consumer, f"{number} times there was {type_}, and {consumer} of {service} heard {heard}"
    placed = {row["order_id"] for row in evidence.rows("orders", "order_entries") if row["kind"] == "placed"}
    carts = [row["cart_id"] for row in evidence.rows("orders", "orders") if row["order_id"] in placed]
    ordered = sum(cart_id is not None for cart_id in carts)
    heard = sum(row["consumer"] == CLOSING for row in evidence.rows("carts", "inbox"))
    if heard != ordered:
        yield CLOSING, f"{ordered} carts became orders that were placed, and carts heard of {heard}"


@invariant("messages.keys_are_answered")
def keys_are_answered(evidence: Evidence) -> Iterator[Finding]:
    """Every idempotency key that was taken has the answer that was kept in the same commit."""
    for (service, table), rows in evidence.tables.items():
        if table == "commands":
            for row in rows:
                if row["answer"] is None:
                    yield row["key"], f"{service} has the key without an answer"


CHECKS = (keys_are_answered, sent, no_dead_letters, handled_once, everything_said)
