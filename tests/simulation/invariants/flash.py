"""Flash sales: no more is claimed than there is, nor by one person, and claims are what orders have."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from hansa.services.orders.rules.flash import SOURCE
from tests.simulation.invariants.evidence import Evidence, RowDict
from tests.simulation.invariants.invariant import Finding, invariant
from tests.simulation.invariants.pieces import LIVING

_decode = msgspec.json.Decoder().decode


@invariant("flash.never_oversold")
def never_oversold(evidence: Evidence) -> Iterator[Finding]:
    """Of a flash sale no more pieces are claimed than there are, and its row says how many."""
    claimed = _claimed(evidence)
    for sale in evidence.rows("promotions", "flash_sales"):
        held = sum(pieces for (sale_id, _), pieces in claimed.items() if sale_id == sale["sale_id"])
        if not sale["claimed"] == held <= sale["quantity"]:
            yield sale["sale_id"], f"{held} of {sale['quantity']} are held, and {sale['claimed']} are claimed"


@invariant("flash.limit_per_buyer")
def limit_per_buyer(evidence: Evidence) -> Iterator[Finding]:
    """Nobody holds more pieces of a flash sale than one buyer may have, and each counter says how many."""
    claimed = _claimed(evidence)
    limits = {sale["sale_id"]: sale["limit_per_buyer"] for sale in evidence.rows("promotions", "flash_sales")}
    counters = {
        (buyer["sale_id"], buyer["member"]): buyer["claimed"] for buyer in evidence.rows("promotions", "flash_buyers")
    }
    for key in claimed.keys() | counters.keys():
        if not counters.get(key, 0) == claimed[key] <= limits.get(key[0], 0):
            yield key[1], f"{claimed[key]} are held by {key[1]}, counted as {counters.get(key, 0)}"


@invariant("flash.claims_are_orders")
def claims_are_orders(evidence: Evidence) -> Iterator[Finding]:
    """At rest, whoever bought at a flash sale has a claim of as many pieces, and nobody else has one."""
    living: dict[int, tuple[str, int]] = {}
    for order in evidence.rows("orders", "orders"):
        sale = next((step["code"] for step in _decode(order["adjustments"]) if step["source"] == SOURCE), None)
        if sale is not None and order["status"] in LIVING:
            living[order["order_id"]] = (sale, order["pieces"])
    held = {
        claim["order_id"]: (str(claim["sale_id"]), claim["quantity"])
        for claim in evidence.rows("promotions", "flash_claims")
        if claim["state"] == "held"
    }
    for order_id in living.keys() | held.keys():
        if living.get(order_id) != held.get(order_id):
            yield order_id, f"bought {living.get(order_id)}, claimed {held.get(order_id)} (sale, pieces)"


@invariant("flash.refused_for_cause")
def refused_for_cause(evidence: Evidence) -> Iterator[Finding]:
    """A flash sale refuses a claim only if there are not so many left, or it is more than one buyer may have."""
    for claim in evidence.rows("promotions", "flash_claims"):
        if claim["state"] != "refused":
            continue
        if (said := _without_cause(_decode(claim["refusal"] or "{}"), claim)) is not None:
            yield claim["order_id"], said
    for operation in evidence.operations:
        if operation.verb == "POST" and operation.path.startswith("/flash-sales/") and operation.status in (403, 409):
            answer = operation.answer or {}
            fields = {"code": answer.get("code"), "fields": answer}
            if (said := _without_cause(fields, operation.body)) is not None:
                yield operation.path, said


@invariant("flash.sold_as_far_as_asked")
def sold_as_far_as_asked(evidence: Evidence) -> Iterator[Finding]:
    """Whoever was refused because a flash sale was sold out wanted more than nobody had ever claimed of it."""
    ever: Counter[int] = Counter()
    for claim in evidence.rows("promotions", "flash_claims"):
        if claim["state"] != "refused":
            ever[claim["sale_id"]] += claim["quantity"]
    never = {
        f"/flash-sales/{sale['sale_id']}/orders": sale["quantity"] - ever[sale["sale_id"]]
        for sale in evidence.rows("promotions", "flash_sales")
    }
    for operation in evidence.operations:
        if operation.status != 409 or operation.path not in never:
            continue
        is_sold_out = operation.answer.get("code") == "promotions.sold_out"
        if is_sold_out and operation.body.get("quantity", 1) <= never[operation.path]:
            yield operation.path, f"sold out, they said, and {never[operation.path]} pieces were never claimed"


def _claimed(evidence: Evidence) -> Counter[tuple[int, int]]:
    """Held pieces by sale and member."""
    held: Counter[tuple[int, int]] = Counter()
    for claim in evidence.rows("promotions", "flash_claims"):
        if claim["state"] == "held":
            held[claim["sale_id"], claim["member"]] += claim["quantity"]
    return held


def _without_cause(refusal: Any, asked: RowDict) -> str | None:
    fields, pieces = refusal.get("fields", {}), asked.get("quantity", 1)
    match refusal.get("code"):
        case "promotions.sold_out":
            is_right = 0 <= fields["left"] < pieces
        case "promotions.over_limit":
            is_right = fields["bought"] + pieces > fields["limit"]
        case None | "":
            is_right = False
        case _:
            is_right = True
    return None if is_right else f"{pieces} were asked for, and refused with {refusal}"


CHECKS = (never_oversold, limit_per_buyer, claims_are_orders, refused_for_cause, sold_as_far_as_asked)
