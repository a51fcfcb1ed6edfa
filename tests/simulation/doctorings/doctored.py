"""A copy of the evidence that may be changed, and what is to be found in it."""

import copy
from collections.abc import Callable
from typing import Any

import msgspec

from tests.simulation.invariants.evidence import Evidence
from tests.simulation.workload.door import Operation

Rows = list[dict[str, Any]]
LATER = 1e9
"""After every operation, by the clients' clock."""


class Doctored:
    """A copy of the evidence that may be changed. `find` gives the first row that is as described."""

    def __init__(self, evidence: Evidence) -> None:
        self.tables: dict[tuple[str, str], Rows] = {
            name: [dict(row) for row in rows] for name, rows in evidence.tables.items()
        }
        self.books = list(evidence.books)
        self.operations: list[Operation] = copy.deepcopy(list(evidence.operations))
        self.received = dict(evidence.received)
        self.sent = dict(evidence.sent)
        self.emitted = dict(evidence.emitted)
        self.consumers = dict(evidence.consumers)

    def rows(self, name: str) -> Rows:
        """Of "service.table"."""
        service, _, table = name.partition(".")
        return self.tables[service, table]

    def say(self, event_id: str, type_: str, *, heard_by: str = "") -> "Doctored":
        """As if such an event had been seen to be committed, or only heard of."""
        self.emitted[event_id] = type_
        if heard_by:
            self.sent[f"{heard_by} 5"] = 1
        return self

    def find(self, name: str, /, **facts: Any) -> dict[str, Any]:
        return next(row for row in self.rows(name) if all(row[key] == value for key, value in facts.items()))

    def remove(self, name: str, /, **facts: Any) -> "Doctored":
        self.rows(name).remove(self.find(name, **facts))
        return self

    def double(self, name: str, /, *, changed: dict[str, Any] | None = None, **facts: Any) -> "Doctored":
        self.rows(name).append({**self.find(name, **facts), **(changed or {})})
        return self

    def change(self, name: str, /, *, to: dict[str, Any], **facts: Any) -> "Doctored":
        self.find(name, **facts).update(to)
        return self

    def add(self, name: str, column: str, number: int, /, **facts: Any) -> "Doctored":
        self.find(name, **facts)[column] += number
        return self

    def order(self, status: str = "placed", **facts: Any) -> int:
        found: int = self.find("orders.orders", status=status, **facts)["order_id"]
        return found

    def told(self, verb: str, path: str, **facts: Any) -> Operation:
        """The first granted operation whose path ends so."""
        return next(
            operation
            for operation in self.operations
            if operation.verb == verb
            and operation.path.endswith(path)
            and operation.status in (200, 201)
            and all(operation.answer.get(key) == value for key, value in facts.items())
        )

    def again(self, operation: Operation, *, answer: dict[str, Any] | None = None, **changed: Any) -> Operation:
        """The same once more, after everything else."""
        repeated = copy.deepcopy(operation)
        repeated.number, repeated.began, repeated.ended = len(self.operations), LATER, LATER + 1
        if answer is not None:
            repeated.answer = {**repeated.answer, **answer}
        for name, value in changed.items():
            setattr(repeated, name, value)
        self.operations.append(repeated)
        return repeated

    def evidence(self) -> Evidence:
        return Evidence(
            tables=self.tables,
            books=self.books,
            operations=self.operations,
            received=self.received,
            sent=self.sent,
            emitted=self.emitted,
            consumers=self.consumers,
        )


Act = Callable[[Doctored], object]
Doctoring = tuple[str, str, Act]
"""The check that must find it, what is done, and how."""


def entry_of(doctored: Doctored, kind: str, *, key: str | None = None) -> Any:
    return next(entry for entry in doctored.books if entry.kind == kind and key in (None, entry.key))


def with_more(entry: Any, by: int) -> Any:
    amount = msgspec.structs.replace(entry.amount, amount=entry.amount.amount + by)
    return msgspec.structs.replace(entry, amount=amount)


def swap(doctored: Doctored, entry: Any, *others: Any) -> None:
    index = doctored.books.index(entry)
    doctored.books[index : index + 1] = list(others)


def rewrite(row: dict[str, Any], column: str, change: Callable[[Any], object]) -> None:
    """Change a document in place."""
    document = msgspec.json.decode(row[column])
    change(document)
    row[column] = msgspec.json.encode(document).decode()


def level_of(doctored: Doctored, sku: str) -> dict[str, Any]:
    return doctored.find("inventory.stock", sku=sku)


def a_sale(doctored: Doctored) -> dict[str, Any]:
    """A line of the ledger by which an order's pieces were sold."""
    return doctored.find("inventory.movements", kind="sold")


def of_sale(doctored: Doctored) -> int:
    return int(a_sale(doctored)["reference"])


def granted_order(doctored: Doctored) -> Operation:
    return doctored.told("POST", "/orders", status="placed")


def id_of(operation: Operation) -> int:
    return int(operation.answer["id"].partition("-")[0])


def lose_order(doctored: Doctored, order_id: int) -> None:
    """As if its commit had never been."""
    for table in ("orders", "order_lines", "order_keys", "order_entries"):
        rows = doctored.rows(f"orders.{table}")
        rows[:] = [row for row in rows if row["order_id"] != order_id]


def cart_line(doctored: Doctored) -> tuple[int, str]:
    """Of the guest who left: the cart is open still."""
    operation = next(it for it in doctored.operations if it.actor == "ian" and it.verb == "PUT")
    return int(operation.path.split("/")[2].partition("-")[0]), "HAT"


def put_twice_at_once(doctored: Doctored) -> None:
    """Two acknowledged changes of a product that made the same version: one of them is lost."""
    change = doctored.told("PATCH", "")
    other = doctored.again(change, key="another", body={"brand": "Other"})
    other.answer["draft"] = {**other.answer["draft"], "brand": "Other"}


def exchange_versions(doctored: Doctored) -> None:
    """A sale before anything was reserved for it."""
    sale = doctored.find("inventory.movements", kind="sold", sku="LAST")  # nobody else holds a piece of it meanwhile
    reserved = doctored.find("inventory.movements", kind="reserved", reference=sale["reference"], sku=sale["sku"])
    sale["version"], reserved["version"] = reserved["version"], sale["version"]


def change_tax(doctored: Doctored, change: Callable[[dict[str, Any]], object]) -> None:
    def tax_of(adjustments: list[dict[str, Any]]) -> None:
        change(next(each for each in adjustments if each["kind"] == "tax"))

    rewrite(doctored.find("orders.orders", status="placed"), "adjustments", tax_of)


def refused(doctored: Doctored, code: str) -> Operation:
    return next(it for it in doctored.operations if isinstance(it.answer, dict) and it.answer.get("code") == code)


def declined(doctored: Doctored) -> Operation:
    return refused(doctored, "payments.declined")


def quoted(doctored: Doctored) -> Operation:
    """The order by a quote that was shown."""
    return next(it for it in doctored.operations if it.path == "/orders" and "quote" in it.body)


def ordered_cart(doctored: Doctored) -> int:
    found: int = doctored.rows("orders.order_carts")[0]["cart_id"]
    return found


def continued(doctored: Doctored) -> int:
    """The cart that goes on with what came too late for an order."""
    found: int = next(row["continued_in"] for row in doctored.rows("carts.carts") if row["continued_in"])
    return found


def member(doctored: Doctored) -> int:
    found: int = doctored.rows("carts.member_carts")[0]["member"]
    return found
