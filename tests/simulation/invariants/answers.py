"""Answers: what clients were told stays true, is told again in the same words, and never runs backwards."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from tests.simulation.invariants.evidence import Evidence
from tests.simulation.invariants.invariant import Finding, invariant
from tests.simulation.invariants.orders import REACHABLE
from tests.simulation.invariants.shapes import certain, identified, is_granted, kept_route, named, seen
from tests.simulation.workload.door import Operation

NOT_KEPT = frozenset({401, 403, 404, 412, 428, 429})
"""Refusals at the gate: they say nothing of what the key stands for."""
FINAL = frozenset({"payments.declined", "inventory.out_of_stock"})
"""Refusals of an order that was made: they are kept with its key. Others come before there is an order."""
PERSONAL = frozenset({"email", "shipping_address", "billing_address", "correlation"})


def _is_final(operation: Operation) -> bool:
    return is_granted(operation) or _code(operation) in FINAL


def _code(operation: Operation) -> str:
    return str(operation.answer.get("code", "")) if isinstance(operation.answer, dict) else ""


def _told(operation: Operation) -> tuple[int | None, Any]:
    answer = operation.answer
    if isinstance(answer, dict):
        answer = {name: value for name, value in answer.items() if name not in PERSONAL}
    return operation.status, answer


def _by_key(evidence: Evidence) -> list[list[Operation]]:
    """What was asked more than once with one key, where keys are kept."""
    groups: dict[tuple[str, bool, str, str, str], list[Operation]] = defaultdict(list)
    for operation in evidence.operations:
        if operation.key and operation.is_certain and kept_route(operation):
            name = (operation.actor, operation.is_signed_in, operation.verb, operation.path, operation.key)
            groups[name].append(operation)
    return [group for group in groups.values() if len(group) > 1]


@invariant("answers.same_key_same_answer")
def same_key_same_answer(evidence: Evidence) -> Iterator[Finding]:
    """The same request with the same key is answered in the same words, and never otherwise once it was answered."""
    for group in _by_key(evidence):
        finals = [operation for operation in group if _is_final(operation)]
        for operation in finals[1:]:
            if operation.body == finals[0].body and _told(operation) != _told(finals[0]):
                first = f"operation {finals[0].number} was told {_brief(finals[0])}"
                yield _subject(finals[0]), f"{first}, and {operation.number} with the same key {_brief(operation)}"
        if not finals:
            continue
        answered = min(operation.ended or 0.0 for operation in finals)
        for operation in group:
            is_later = operation.body == finals[0].body and operation.began >= answered
            if is_later and not _is_final(operation) and operation.status not in NOT_KEPT:
                yield _subject(finals[0]), f"operation {operation.number} was told {_brief(operation)} after an answer"


@invariant("answers.other_body_refused")
def other_body_refused(evidence: Evidence) -> Iterator[Finding]:
    """A key that stands for one request never has another one carried out."""
    for group in _by_key(evidence):
        granted = [operation for operation in group if is_granted(operation)]
        for operation in granted[1:]:
            if operation.body != granted[0].body:
                both = f"operations {granted[0].number} and {operation.number}"
                yield _subject(operation), f"{both} with one key ask for different things, and both were granted"


@invariant("answers.one_order_per_key")
def one_order_per_key(evidence: Evidence) -> Iterator[Finding]:
    """Whatever a client repeats with one key, it is told of one order only."""
    orders: dict[tuple[str, str], set[str]] = defaultdict(set)
    for operation in certain(evidence, "POST"):
        if operation.path.partition("?")[0] == "/orders" and operation.key:
            name = operation.answer.get("id" if is_granted(operation) else "order_id")
            if name:
                orders[operation.actor, operation.key].add(str(name).partition("-")[0])
    for (actor, key), names in orders.items():
        if len(names) > 1:
            yield min(names), f"{actor} was told of {sorted(names)} with the key {key}"


@invariant("answers.orders_last")
def orders_last(evidence: Evidence) -> Iterator[Finding]:
    """An order that a client was told of is there, as it was told or what may have come of that."""
    rows = {row["order_id"]: row for row in evidence.rows("orders", "orders")}
    lines = {(row["order_id"], row["sku"]): row for row in evidence.rows("orders", "order_lines")}
    sent = {row["fulfilment_id"] for row in evidence.rows("orders", "fulfilments")}
    refunds = {row["refund_id"]: row["state"] for row in evidence.rows("orders", "order_refunds")}
    for operation, order in seen(evidence, "order"):
        order_id = identified(order)
        row = rows.get(order_id)
        if row is None:
            yield order_id, f"operation {operation.number} was told of it, and it is lost"
            continue
        if row["status"] not in REACHABLE[order["status"]] or row["version"] < order["version"]:
            told = f"{order['status']} at version {order['version']}"
            yield order_id, f"told as {told}, and it is {row['status']} at {row['version']}"
        if (order["total"]["amount"], order["total"]["currency"]) != (row["total"], row["currency"]):
            yield order_id, f"told as {order['total']}, and it is {row['total']} {row['currency']}"
        for line in order["lines"]:
            kept = lines.get((order_id, line["sku"]))
            told_line = (line["quantity"], line["unit_price"]["amount"], line["total"]["amount"])
            if kept is None or told_line != (kept["quantity"], kept["unit_price"], kept["total"]):
                yield order_id, f"operation {operation.number} was told of {told_line} of {line['sku']}"
            elif line["fulfilled"] > kept["fulfilled"]:
                yield order_id, f"{line['fulfilled']} of {line['sku']} were told as sent, and {kept['fulfilled']} are"
        for fulfilment in order["fulfilments"]:
            if int(fulfilment["id"]) not in sent:
                yield order_id, f"the fulfilment {fulfilment['id']} was told, and is lost"
        for refund in order["refunds"]:
            state = refunds.get(int(refund["id"]))
            if state is None or (refund["state"] != "pending" and state != refund["state"]):
                yield order_id, f"the refund {refund['id']} was told as {refund['state']}, and is {state}"


@invariant("answers.declined_stays")
def declined_stays(evidence: Evidence) -> Iterator[Finding]:
    """An order whose buyer was told that the payment was declined is rejected for good."""
    statuses = {row["order_id"]: row["status"] for row in evidence.rows("orders", "orders")}
    for operation in certain(evidence, "POST"):
        if _code(operation) == "payments.declined" and operation.answer.get("order_id"):
            order_id = int(str(operation.answer["order_id"]).partition("-")[0])
            if statuses.get(order_id) != "rejected":
                yield order_id, f"told as declined by operation {operation.number}, and is {statuses.get(order_id)}"


@invariant("answers.out_of_stock_is_true")
def out_of_stock_is_true(evidence: Evidence) -> Iterator[Finding]:
    """Nobody is turned away who asked for no more than what is said to be left."""
    for operation in certain(evidence, "POST"):
        if _code(operation) != "inventory.out_of_stock" or not isinstance(operation.body, dict):
            continue
        asked = [line for line in operation.body.get("lines") or () if line["sku"] == operation.answer["sku"]]
        quantity = sum(line["quantity"] for line in asked)
        if asked and operation.answer["left"] >= quantity:
            yield operation.answer["sku"], f"{quantity} were refused, and {operation.answer['left']} are left"


@invariant("answers.reads_go_forward")
def reads_go_forward(evidence: Evidence) -> Iterator[Finding]:
    """Whoever asks after somebody was answered sees that or later: no version and no state is ever taken back."""
    for kind in ("order", "product", "stock", "cart"):
        by_id: dict[str, list[tuple[Operation, Mapping[str, Any]]]] = defaultdict(list)
        for operation, answer in seen(evidence, kind):
            by_id[named(answer)].append((operation, answer))
        for name, answers in by_id.items():
            yield from ((name, text) for text in _backwards(kind, answers))


def _backwards(kind: str, answers: list[tuple[Operation, Mapping[str, Any]]]) -> Iterator[str]:
    """Reads that show less than an answer that had ended before they began."""
    ended = sorted(answers, key=lambda each: each[0].ended or 0.0)
    number, newest = 0, None
    for operation, answer in sorted(answers, key=lambda each: each[0].began):
        while number < len(ended) and (ended[number][0].ended or 0.0) <= operation.began:
            if newest is None or ended[number][1]["version"] >= newest[1]["version"]:
                newest = ended[number]
            number += 1
        if newest is None or newest[0] is operation or operation.verb != "GET":
            continue  # repeated commands are told what they were told the first time
        before, told = newest
        if answer["version"] < told["version"]:
            yield f"version {told['version']} in operation {before.number}, {answer['version']} in {operation.number}"
        elif kind == "order" and answer["status"] not in REACHABLE[told["status"]]:
            yield f"{told['status']} in operation {before.number}, {answer['status']} in {operation.number}"


@invariant("answers.versions_mean_one_thing")
def versions_mean_one_thing(evidence: Evidence) -> Iterator[Finding]:
    """A version of an order, a product, a stock or a cart is one and the same for everybody who is told of it."""
    for kind in ("order", "product", "stock", "cart"):
        known: dict[tuple[str, int], tuple[Operation, Any]] = {}
        for operation, answer in seen(evidence, kind):
            name = named(answer)
            first, told = known.setdefault((name, answer["version"]), (operation, _substance(kind, answer)))
            if first is not operation and told != _substance(kind, answer):
                both = f"operations {first.number} and {operation.number}"
                yield name, f"{both} were told different things of the {kind}'s version {answer['version']}"


def _substance(kind: str, answer: Mapping[str, Any]) -> Any:
    """What a version decides."""
    match kind:
        case "order":
            return answer["status"], answer["lines"], [payment["state"] for payment in answer["payments"]]
        case "product":
            # Which price holds depends on the clock of whoever is asked; `promises.last_price_holds` sees to prices.
            draft = answer["draft"]
            skus = [variant["sku"] for variant in draft["variants"]]
            return {name: value for name, value in draft.items() if name != "variants"}, skus
        case "stock":
            return answer["levels"]
        case _:
            return answer["currency"], answer["is_open"], {line["sku"]: line["quantity"] for line in answer["lines"]}


def _subject(operation: Operation) -> str:
    """The id of what the answer is about, else the path."""
    answer = operation.answer if isinstance(operation.answer, dict) else {}
    return str(answer.get("id") or answer.get("order_id") or operation.path).partition("-")[0]


def _brief(operation: Operation) -> str:
    answer = operation.answer if isinstance(operation.answer, dict) else {}
    facts = (answer.get(name) for name in ("code", "id", "order_id", "status", "version"))
    return " ".join(str(fact) for fact in (operation.status, *facts) if fact is not None)


CHECKS = (
    same_key_same_answer,
    other_body_refused,
    one_order_per_key,
    orders_last,
    declined_stays,
    out_of_stock_is_true,
    reads_go_forward,
    versions_mean_one_thing,
)
