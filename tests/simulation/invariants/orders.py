"""Orders: each came to an end by legal steps, from one key and one cart, and has what its end says."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import msgspec

from hansa.services.orders.contract import BUY_ERRORS
from tests.simulation.invariants.evidence import Evidence, RowDict
from tests.simulation.invariants.invariant import Finding, invariant
from tests.simulation.invariants.pieces import LIVING

LEGAL: dict[str, frozenset[str]] = {
    "pending": frozenset({"placed", "rejected", "cancelled"}),
    "placed": frozenset({"completed", "cancelled"}),
    "completed": frozenset(),
    "rejected": frozenset(),
    "cancelled": frozenset(),
}
"""What may come of an order in one step."""
REACHABLE: dict[str, frozenset[str]] = {
    "pending": frozenset(LEGAL),
    "placed": frozenset({"placed", "completed", "cancelled"}),
    "completed": frozenset({"completed"}),
    "rejected": frozenset({"rejected"}),
    "cancelled": frozenset({"cancelled"}),
}
"""What somebody may see of it later on."""
LET_GO = frozenset({"captured", "failed", "voided"})
REFUSALS = frozenset(error.code for error in BUY_ERRORS)
_decode = msgspec.json.Decoder().decode


def statuses_in_history(evidence: Evidence) -> dict[int, list[str]]:
    """The states that orders came to, one after the other, by their histories; every order begins as pending."""
    entries: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for row in evidence.rows("orders", "order_entries"):
        if row["kind"] in LEGAL:
            entries[row["order_id"]].append((row["number"], row["kind"]))
    return {order_id: [kind for _, kind in sorted(found)] for order_id, found in entries.items()}


@invariant("orders.end")
def every_order_ends(evidence: Evidence) -> Iterator[Finding]:
    """Every order came to an end, and nobody will look after it again."""
    for row in evidence.rows("orders", "orders"):
        if row["status"] not in LEGAL or row["status"] == "pending":
            yield row["order_id"], f"the order is {row['status']}"
        elif row["resume_at"] is not None or row["payment_token"] != "" or row["answer"] is None:
            yield row["order_id"], f"the order is {row['status']}, and yet it is due, chargeable or without an answer"


@invariant("orders.legal_history")
def legal_history(evidence: Evidence) -> Iterator[Finding]:
    """An order's history has every entry once, shows legal steps only, ends where the order is, and every step made a
    version."""
    numbers: dict[int, list[int]] = defaultdict(list)
    for row in evidence.rows("orders", "order_entries"):
        numbers[row["order_id"]].append(row["number"])
    steps = statuses_in_history(evidence)
    orders = {row["order_id"]: row for row in evidence.rows("orders", "orders")}
    for order_id, row in orders.items():
        found = sorted(numbers[order_id])
        if found != list(range(1, len(found) + 1)):
            yield order_id, f"the entries are numbered {found}"
        status = "pending"
        for step in steps.get(order_id, ()):
            if step not in LEGAL[status]:
                yield order_id, f"{status} became {step}"
            status = step
        if status != row["status"]:
            yield order_id, f"the history ends with {status}, and the order is {row['status']}"
        if row["version"] < 1 + len(steps.get(order_id, ())):
            yield order_id, f"{len(steps[order_id])} steps made version {row['version']}"
    for order_id in numbers.keys() - orders.keys():
        yield order_id, "a history without an order"


@invariant("orders.one_per_key")
def one_order_per_key(evidence: Evidence) -> Iterator[Finding]:
    """An idempotency key stands for one order that is there, and every order has the key it was made with."""
    orders = {row["order_id"] for row in evidence.rows("orders", "orders")}
    keys: Counter[int] = Counter()
    stands: dict[tuple[int, str], int] = {}
    for row in evidence.rows("orders", "order_keys"):
        keys[row["order_id"]] += 1
        if stands.setdefault((row["slot"], row["key"]), row["order_id"]) != row["order_id"]:
            yield row["order_id"], f"its key stands for the order {stands[row['slot'], row['key']]}, too"
    for order_id in orders | keys.keys():
        if order_id not in orders or keys[order_id] != 1:
            known = "known" if order_id in orders else "unknown"
            yield order_id, f"the order is {known}, and {keys[order_id]} keys stand for it"


@invariant("orders.cart_ordered_once")
def cart_ordered_once(evidence: Evidence) -> Iterator[Finding]:
    """A cart became at most one order that was ever placed, and is claimed by that one."""
    claims = {row["cart_id"]: row["order_id"] for row in evidence.rows("orders", "order_carts")}
    steps = statuses_in_history(evidence)
    placed: dict[int, list[int]] = defaultdict(list)
    for row in evidence.rows("orders", "orders"):
        if row["cart_id"] is not None and (row["status"] in LIVING or "placed" in steps.get(row["order_id"], ())):
            placed[row["cart_id"]].append(row["order_id"])
    for cart_id, order_ids in placed.items():
        if len(order_ids) > 1:
            yield order_ids[1], f"the cart {cart_id} became the orders {order_ids}"
        if claims.get(cart_id) not in order_ids:
            yield order_ids[0], f"the cart {cart_id} became this order, and is claimed by {claims.get(cart_id)}"
    for cart_id, order_id in claims.items():
        if order_id not in placed.get(cart_id, ()):
            yield order_id, f"the cart {cart_id} is claimed by an order that was never placed"


@invariant("orders.carts_close")
def carts_close(evidence: Evidence) -> Iterator[Finding]:
    """The cart of an order that was placed is closed."""
    is_open = {row["cart_id"]: bool(row["is_open"]) for row in evidence.rows("carts", "carts")}
    for row in evidence.rows("orders", "orders"):
        if row["cart_id"] is not None and row["status"] in LIVING and is_open.get(row["cart_id"], True):
            yield row["order_id"], f"the cart {row['cart_id']} is open or gone"


@invariant("orders.payment_fits")
def payment_fits(evidence: Evidence) -> Iterator[Finding]:
    """What an order has of its payment fits its state: captured in full where it is placed, else taken or let go."""
    for row in evidence.rows("orders", "orders"):
        payment = f"the order is {row['status']}, its payment {row['payment_state']}, {row['captured']} captured"
        is_captured, is_over = row["payment_state"] == "captured", row["status"] in ("rejected", "cancelled")
        is_unpaid = row["status"] in LIVING and (not is_captured or row["captured"] != row["total"])
        is_waiting = is_over and row["payment_state"] not in LET_GO
        if is_unpaid or is_waiting or (row["captured"] and not is_captured):
            yield row["order_id"], payment


@invariant("orders.nothing_kept")
def nothing_kept(evidence: Evidence) -> Iterator[Finding]:
    """A rejected or cancelled order has neither pieces nor money."""
    over = {row["order_id"]: row for row in evidence.rows("orders", "orders") if row["status"] not in LIVING}
    for row in evidence.rows("inventory", "reservation_lines"):
        if row["order_id"] in over and (row["held"] or row["sold"] != row["returned"]):
            has = row["held"] + row["sold"] - row["returned"]
            yield row["order_id"], f"{over[row['order_id']]['status']}, and has {has} of {row['sku']}"
    for row in evidence.rows("payments", "intents"):
        if row["order_id"] in over and row["captured"] != row["refunded"]:
            kept = row["captured"] - row["refunded"]
            yield row["order_id"], f"{over[row['order_id']]['status']}, and {kept} was not given back"


@invariant("orders.lines_fit")
def lines_fit(evidence: Evidence) -> Iterator[Finding]:
    """Lines have counted what was sent, cancelled and returned; an order is completed when all of it was sent."""
    sent: Counter[tuple[int, str]] = Counter()
    for row in evidence.rows("orders", "fulfilments"):
        for line in _decode(row["lines"]):
            sent[row["order_id"], line["sku"]] += line["quantity"]
    lines: dict[int, list[RowDict]] = defaultdict(list)
    for line in evidence.rows("orders", "order_lines"):
        lines[line["order_id"]].append(line)
    for row in evidence.rows("orders", "orders"):
        order_id, status = row["order_id"], row["status"]
        for line in lines[order_id]:
            cancelled = 0 if status in LIVING else line["quantity"]
            if line["cancelled"] != cancelled or line["fulfilled"] != sent[order_id, line["sku"]]:
                counted = f"{line['fulfilled']} fulfilled, {line['cancelled']} cancelled of {line['quantity']}"
                yield order_id, f"{status}: {line['sku']} has {counted}, and {sent[order_id, line['sku']]} were sent"
            if not 0 <= line["returned"] <= line["fulfilled"]:
                yield order_id, f"{line['returned']} of {line['sku']} came back of {line['fulfilled']} sent"
        is_whole = all(line["fulfilled"] == line["quantity"] for line in lines[order_id])
        if status in LIVING and (status == "completed") != is_whole:
            yield order_id, f"{status}, and {'all' if is_whole else 'not all'} of it was sent"
    for order_id in lines.keys() - {row["order_id"] for row in evidence.rows("orders", "orders")}:
        yield order_id, "lines without an order"


@invariant("orders.kept_answer_fits")
def kept_answer_fits(evidence: Evidence) -> Iterator[Finding]:
    """The answer kept for an order's key is that order, or a refusal if the order is rejected."""
    for row in evidence.rows("orders", "orders"):
        if row["answer"] is None:
            continue  # `orders.end` tells
        answer = _decode(row["answer"])
        order, error = answer.get("order"), answer.get("error")
        if order is not None:
            if order["id"] != str(row["order_id"]) or order["total"]["amount"] != row["total"]:
                yield row["order_id"], f"the answer kept is the order {order['id']} of {order['total']['amount']}"
            if row["status"] not in REACHABLE.get(order["status"], ()):
                yield row["order_id"], f"the answer kept says {order['status']}, and the order is {row['status']}"
        elif error is None or error["code"] not in REFUSALS:
            yield row["order_id"], f"the answer kept is neither an order nor a refusal: {row['answer'][:80]}"
        elif row["status"] != "rejected":
            yield row["order_id"], f"its buyer is told {error['code']}, and the order is {row['status']}"


CHECKS = (
    every_order_ends,
    legal_history,
    one_order_per_key,
    cart_ordered_once,
    carts_close,
    payment_fits,
    nothing_kept,
    lines_fit,
    kept_answer_fits,
)
