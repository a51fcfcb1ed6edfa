"""Money: charged once and in full, or given back; our rows and the provider's own books say the same, to the cent."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec

from hansa.kernel.money import at_rate, share, within_rate
from hansa.platform.database.idempotency import digest
from tests.simulation.invariants.evidence import Evidence, RowDict
from tests.simulation.invariants.invariant import Finding, invariant
from tests.simulation.invariants.pieces import LIVING

OVER = frozenset({"captured", "failed", "voided"})
"""States of a payment of which nothing more will come."""
_decode = msgspec.json.Decoder().decode


class _Account:
    """What the provider's books say of one charge."""

    def __init__(self) -> None:
        self.captured = 0
        self.captures = 0
        self.currencies: set[str] = set()
        self.refunds: list[int] = []

    @property
    def refunded(self) -> int:
        return sum(self.refunds)


def _books(evidence: Evidence) -> dict[str, _Account]:
    accounts: dict[str, _Account] = defaultdict(_Account)
    for entry in evidence.books:
        account = accounts[entry.key]
        account.currencies.add(entry.amount.currency)
        if entry.kind == "captured":
            account.captured += entry.amount.amount
            account.captures += 1
        elif entry.kind == "refunded":
            account.refunds.append(entry.amount.amount)
    return accounts


def _orders(evidence: Evidence) -> dict[int, RowDict]:
    return {row["order_id"]: row for row in evidence.rows("orders", "orders")}


@invariant("money.captured_once")
def captured_once(evidence: Evidence) -> Iterator[Finding]:
    """The provider captured at most once for an order."""
    for key, account in _books(evidence).items():
        if account.captures > 1:
            yield key, f"captured {account.captures} times, {account.captured} in all"


@invariant("money.captured_means_placed")
def captured_means_placed(evidence: Evidence) -> Iterator[Finding]:
    """Money that was captured belongs to a placed or completed order, or all of it went back."""
    orders = {str(order_id): row["status"] for order_id, row in _orders(evidence).items()}
    for key, account in _books(evidence).items():
        status = orders.get(key)
        if status not in LIVING and account.captured != account.refunded:
            yield key, f"the provider keeps {account.captured - account.refunded} for an order that is {status}"


@invariant("money.charged_the_total")
def charged_the_total(evidence: Evidence) -> Iterator[Finding]:
    """The amount captured for a placed or completed order is its total, in its currency."""
    books = _books(evidence)
    for order_id, row in _orders(evidence).items():
        account = books.get(str(order_id))
        captured = account.captured if account else 0
        if row["status"] in LIVING and captured != row["total"]:
            yield order_id, f"the total is {row['total']}, and {captured} was captured"
        if account and account.currencies - {row["currency"]}:
            yield order_id, f"the order is in {row['currency']}, and the charge in {sorted(account.currencies)}"


@invariant("money.never_refunded_more")
def never_refunded_more(evidence: Evidence) -> Iterator[Finding]:
    """Never is more given back than was captured."""
    for key, account in _books(evidence).items():
        if account.refunded > account.captured:
            yield key, f"{account.refunded} was given back of {account.captured}"


@invariant("money.payments_equal_books")
def payments_equal_books(evidence: Evidence) -> Iterator[Finding]:
    """Our payments and refunds are those of the provider's books, each with its amount."""
    books = _books(evidence)
    intents = {row["order_id"]: row for row in evidence.rows("payments", "intents")}
    refunds: dict[int, list[int]] = defaultdict(list)
    for row in evidence.rows("payments", "refunds"):
        if row["state"] == "refunded":
            refunds[row["order_id"]].append(row["amount"])
    for order_id, row in intents.items():
        account = books.get(str(order_id)) or _Account()
        ours, theirs = (row["captured"], row["refunded"]), (account.captured, account.refunded)
        if ours != theirs:
            yield order_id, f"captured and refunded is {ours} in our rows and {theirs} in the provider's books"
        if sorted(refunds[order_id]) != sorted(account.refunds):
            yield order_id, f"refunds are {refunds[order_id]} in our rows and {account.refunds} in the books"
    known = {str(order_id) for order_id in intents}
    for key in books.keys() - known:
        yield key, "the provider has a charge that we know nothing of"


@invariant("money.payments_end")
def payments_end(evidence: Evidence) -> Iterator[Finding]:
    """Every payment and every refund came to an end, and no refund is owed."""
    for row in evidence.rows("payments", "intents"):
        if row["state"] not in OVER or row["refunding"]:
            yield row["order_id"], f"the payment is {row['state']}, {row['refunding']} on the way back"
        if row["is_closed"] and row["captured"] != row["refunded"]:
            yield row["order_id"], f"{row['captured'] - row['refunded']} is owed to the buyer of a closed order"
    for row in evidence.rows("payments", "refunds"):
        if row["state"] == "pending":
            yield row["order_id"], f"the refund of {row['amount']} is pending"


@invariant("money.totals_add_up")
def totals_add_up(evidence: Evidence) -> Iterator[Finding]:
    """Lines make the subtotal, the subtotal and what is added or taken off make the total, and each tax is its rate of
    what is paid for its line."""
    sums: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    lines: dict[tuple[int, str | None], int] = {}
    for line in evidence.rows("orders", "order_lines"):
        if line["total"] != line["unit_price"] * line["quantity"]:
            yield line["order_id"], f"{line['quantity']} of {line['sku']} at {line['unit_price']} cost {line['total']}"
        of_order = sums[line["order_id"]]
        of_order[0] += line["total"]
        of_order[1] += line["quantity"]
        lines[line["order_id"], line["sku"]] = line["total"]
    for order_id, row in _orders(evidence).items():
        subtotal, pieces = sums[order_id]
        if (row["subtotal"], row["pieces"]) != (subtotal, pieces):
            said = f"subtotal {row['subtotal']} for {row['pieces']} pieces"
            yield order_id, f"{said}, and the lines make {subtotal} for {pieces}"
        adjustments = _decode(row["adjustments"])
        added = sum(each["amount"]["amount"] for each in adjustments if not each["included"])
        if row["total"] != row["subtotal"] + added:
            yield order_id, f"subtotal {row['subtotal']} and {added} make {row['total']}"
        saved: Counter[str | None] = Counter()
        for each in adjustments:
            of_line = lines.get((order_id, each["line"]), 0) + (saved[each["line"]] if each["kind"] == "tax" else 0)
            if each["kind"] == "promotion":
                saved[each["line"]] += each["amount"]["amount"]
            if each["line"] is not None and each["basis"]["amount"] != of_line:
                yield order_id, f"{each['code']} is reckoned of {each['basis']['amount']} for {each['line']}"
            if {each["amount"]["currency"], each["basis"]["currency"]} != {row["currency"]}:
                yield order_id, f"{each['code']} is not in {row['currency']}"
        yield from ((order_id, text) for text in _wrong_taxes(adjustments))


def _wrong_taxes(adjustments: list[dict[str, Any]]) -> Iterator[str]:
    """Taxes of one basis are reckoned together: those in the price share one part of it."""
    groups: dict[tuple[str | None, bool, int], list[dict[str, Any]]] = defaultdict(list)
    for each in adjustments:
        if each["rate_ppm"] is not None:
            groups[each["line"], each["included"], each["basis"]["amount"]].append(each)
    for (_, is_included, basis), taxes in groups.items():
        rates = [each["rate_ppm"] for each in taxes]
        wanted = share(within_rate(basis, sum(rates)), rates) if is_included else [at_rate(basis, it) for it in rates]
        amounts = [each["amount"]["amount"] for each in taxes]
        if amounts != wanted:
            yield f"{rates} ppm of {basis} is {amounts} instead of {wanted}"


@invariant("money.payment_is_the_orders")
def payment_is_the_orders(evidence: Evidence) -> Iterator[Finding]:
    """A payment is for its order's total; the order knows what was captured and what was given back."""
    orders = _orders(evidence)
    for row in evidence.rows("payments", "intents"):
        order_id, order = row["order_id"], orders.get(row["order_id"])
        if order is None:
            yield order_id, "a payment without an order"
            continue
        is_payment = row["provider"] != ""
        if is_payment and (row["amount"], row["currency"]) != (order["total"], order["currency"]):
            asked = f"{row['amount']} {row['currency']}"
            yield order_id, f"{asked} was asked for an order of {order['total']} {order['currency']}"
        if order["captured"] != row["captured"]:
            yield order_id, f"the order has {order['captured']} captured, the payment {row['captured']}"
        if (order["payment_state"] == "captured") != (row["state"] == "captured"):
            yield order_id, f"the payment is {row['state']}, and the order has it {order['payment_state']}"
    known = {row["order_id"] for row in evidence.rows("payments", "intents")}
    for order_id, order in orders.items():
        if order_id not in known and (order["status"] in LIVING or order["captured"]):
            yield order_id, f"the order is {order['status']} with {order['captured']} captured, without a payment"
    given = {
        (row["order_id"], row["refund_id"]): row["amount"]
        for row in evidence.rows("payments", "refunds")
        if row["state"] == "refunded"
    }
    told = {
        (row["order_id"], row["refund_id"]): row["amount"]
        for row in evidence.rows("orders", "order_refunds")
        if row["state"] == "refunded"
    }
    for key in given.keys() | told.keys():
        if given.get(key) != told.get(key):
            yield key[0], f"{given.get(key)} was given back by refund {key[1]}, and the order has {told.get(key)}"
    for row in evidence.rows("orders", "order_refunds"):
        if row["state"] == "pending":
            yield row["order_id"], f"the order has refund {row['refund_id']} as pending"


@invariant("money.refunds_asked_once")
def refunds_asked_once(evidence: Evidence) -> Iterator[Finding]:
    """Each refund that staff have asked for is carried out once or refused, and answered; no other one is there."""
    refunds: Counter[tuple[int, str]] = Counter()
    for row in evidence.rows("payments", "refunds"):
        refunds[row["order_id"], row["key"]] += 1
    known = set()
    for row in evidence.rows("orders", "refund_requests"):
        order_id, key = row["order_id"], row["key"]
        if row["answer"] is None:
            yield order_id, "the staff's refund was not answered"
            continue
        name = (order_id, f"asked:orders.refund {digest(str(order_id), key)}")
        known.add(name)
        is_granted = _decode(row["answer"]).get("order") is not None
        if refunds[name] != (1 if is_granted else 0):
            wanted = "granted" if is_granted else "refused"
            yield order_id, f"a refund that was {wanted} is there {refunds[name]} times"
    for order_id, key in refunds:
        if key.startswith("asked:") and (order_id, key) not in known:
            yield order_id, "a refund that nobody has asked for"


CHECKS = (
    captured_once,
    captured_means_placed,
    charged_the_total,
    never_refunded_more,
    payments_equal_books,
    payments_end,
    totals_add_up,
    payment_is_the_orders,
    refunds_asked_once,
)
