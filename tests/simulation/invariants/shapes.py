"""What answers are about, read from their shape: an order, a product, a stock, a cart."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.simulation.invariants.evidence import Evidence
from tests.simulation.workload.door import Operation

SHAPES: Mapping[str, frozenset[str]] = {
    "order": frozenset({"id", "number", "status", "lines", "payments", "refunds", "version"}),
    "product": frozenset({"id", "draft", "version"}),
    "stock": frozenset({"sku", "levels", "on_hand", "version"}),
    "cart": frozenset({"id", "lines", "is_open", "quote", "version"}),
}


def is_granted(operation: Operation) -> bool:
    return operation.status is not None and 200 <= operation.status < 300


def certain(evidence: Evidence, verb: str) -> Iterator[Operation]:
    """Operations of a kind that were answered with something to read."""
    for operation in evidence.operations:
        if operation.verb == verb and operation.is_certain and isinstance(operation.answer, dict):
            yield operation


def seen(evidence: Evidence, kind: str) -> Iterator[tuple[Operation, Mapping[str, Any]]]:
    """Every granted answer that shows such a thing."""
    shape = SHAPES[kind]
    for operation in evidence.operations:
        answer = operation.answer
        if isinstance(answer, dict) and is_granted(operation) and shape <= answer.keys():
            yield operation, answer


def kept_route(operation: Operation) -> bool:
    """Whether the shop keeps the first answer to such a command with its key."""
    path = operation.path.partition("?")[0]
    match operation.verb:
        case "POST":
            is_of_order = path.endswith(("/cancel", "/fulfilments", "/refunds")) and "/orders/" in path
            return path in ("/orders", "/admin/products") or is_of_order
        case "PATCH":
            return path.startswith("/admin/products/")
        case "PUT":
            return path.startswith("/admin/inventory/")
    return False


def identified(thing: Mapping[str, Any]) -> int:
    """The id by which its row is found: a guest's name without the secret."""
    return int(str(thing["id"]).partition("-")[0])


def named(thing: Mapping[str, Any]) -> str:
    """What a thing is called whoever asks: its id, or a stock's sku."""
    return str(identified(thing)) if "id" in thing else str(thing["sku"])
