"""What must hold after every commit: cheap questions to one database, and a memory of how things stood before."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tests.simulation.invariants.evidence import Violation
from tests.simulation.invariants.orders import LEGAL

Query = Callable[[str], Iterable[Any]]
"""Runs an SQLite query and gives rows that answer to column names."""
StepCheck = Callable[[Query], Iterable[Violation]]

PAYMENT_STEPS: Mapping[str, frozenset[str]] = {
    "created": frozenset({"pending", "authorized", "captured", "failed", "voided"}),
    "pending": frozenset({"authorized", "captured", "failed", "voided"}),
    "authorized": frozenset({"captured", "failed", "voided"}),
    "failed": frozenset({"captured"}),
    "voided": frozenset({"captured"}),
    "captured": frozenset(),
}
"""A payment only rises; money that was taken is a fact, whatever was believed before."""
RESERVATION_STEPS: Mapping[str, frozenset[str]] = {
    "held": frozenset({"sold", "expired", "released"}),
    "expired": frozenset({"sold", "released", "refused"}),
    "sold": frozenset({"released"}),
    "refused": frozenset(),
    "released": frozenset(),
}
"""An expired one may be refused when it is to be sold after all."""
_BELOW = "SELECT sku, location, on_hand, reserved, sold FROM stock WHERE reserved < 0 OR on_hand < reserved OR sold < 0"
_HELD = (
    "SELECT order_id, json_extract(back.value, '$.place[1]') AS sku FROM reservations, json_each(returned) AS back"
    " WHERE state NOT IN ('sold', 'released') OR json_extract(back.value, '$.quantity') NOT BETWEEN 1 AND"
    " (SELECT coalesce(sum(json_extract(part.value, '$.quantity')), 0) FROM json_each(parts) AS part"
    " WHERE json_extract(part.value, '$.place') = json_extract(back.value, '$.place'))"
    " UNION ALL SELECT order_id, json_extract(part.value, '$.place[1]') FROM reservations, json_each(parts) AS part"
    " WHERE state = 'held' AND json_extract(part.value, '$.quantity') < 1"
)
_UNPAID = (
    "SELECT order_id, status, payment_state FROM orders"
    " WHERE status IN ('placed', 'completed') AND (payment_state <> 'captured' OR captured <> total)"
)
_OVERDRAWN = (
    "SELECT order_id, captured, refunded, refunding, amount FROM intents"
    " WHERE refunded + refunding > captured OR captured > amount OR refunded < 0 OR refunding < 0"
)


def inventory(query: Query) -> Iterator[Violation]:
    """Nothing below zero, and nothing reserved that is not there."""
    for row in query(_BELOW):
        text = f"on hand {row['on_hand']}, reserved {row['reserved']}, sold {row['sold']} at {row['location']}"
        yield Violation(check="step.pieces", subject=row["sku"], text=text)
    for row in query(_HELD):
        yield Violation(check="step.pieces", subject=str(row["order_id"]), text=f"below zero: {row['sku']}")


def orders(query: Query) -> Iterator[Violation]:
    """What is placed is paid in full."""
    for row in query(_UNPAID):
        text = f"{row['status']} with a payment that is {row['payment_state']}"
        yield Violation(check="step.orders", subject=str(row["order_id"]), text=text)


def payments(query: Query) -> Iterator[Violation]:
    """Never more given back than was taken, never more taken than was asked."""
    for row in query(_OVERDRAWN):
        text = f"{row['refunded']} and {row['refunding']} given back of {row['captured']}, asked {row['amount']}"
        yield Violation(check="step.payments", subject=str(row["order_id"]), text=text)


STEP_CHECKS: Mapping[str, StepCheck] = {"inventory": inventory, "orders": orders, "payments": payments}


_BETWEEN, _AMONG = "\x1f", "\x1e"


def _all(table: str, *columns: str) -> str:
    """A whole table as one text: the cheapest way to see that nothing, or what, has changed."""
    return f"(SELECT group_concat({' || char(31) || '.join(columns)}, char(30)) FROM {table})"


_GLANCES = {
    "orders": (f"SELECT {_all('orders', 'order_id', 'status', 'version')}, '', EXISTS ({_UNPAID})"),
    "payments": (
        f"SELECT {_all('intents', 'order_id', 'state', 'captured', 'refunded', 'version')}, '', EXISTS ({_OVERDRAWN})"
    ),
    "inventory": (
        f"SELECT {_all('reservations', 'order_id', 'state')},"
        f" {_all('stock', 'sku', 'location', 'bucket', 'version')},"
        f" EXISTS ({_BELOW}) OR EXISTS ({_HELD})"
    ),
}
"""Two tables, and whether anything in them may never be."""


class _Memory:
    """How the rows of a table stood: the facts of each by its key."""

    def __init__(self, keys: int) -> None:
        self._keys = keys
        self._entries: set[str] = set()
        self._known: dict[tuple[str, ...], list[str]] = {}

    def changes(self, text: str | None) -> Iterator[tuple[tuple[str, ...], list[str] | None, list[str] | None]]:
        """What has changed since: key, before, after."""
        entries = set(text.split(_AMONG)) if text else set()
        before = self._known
        changed = {}
        for entry in sorted(entries - self._entries):
            fields = entry.split(_BETWEEN)
            changed[tuple(fields[: self._keys])] = fields[self._keys :]
        for entry in sorted(self._entries - entries):
            key = tuple(entry.split(_BETWEEN)[: self._keys])
            if key not in changed:
                yield key, before.pop(key), None
        for key, after in changed.items():
            yield key, before.get(key), after
            before[key] = after
        self._entries = entries


class StepWatcher:
    """Remembers how orders, payments and reservations stood after the commit before, and says which steps are illegal.

    One watcher sees all commits of a run, in their order.
    """

    def __init__(self) -> None:
        self._orders = _Memory(1)
        self._intents = _Memory(1)
        self._reservations = _Memory(1)
        self._levels = _Memory(3)

    def after_commit(self, service: str, query: Query) -> list[Violation]:
        """To be called after each commit on the service's database."""
        if (glance := _GLANCES.get(service)) is None:
            return []
        first, second, is_broken = next(iter(query(glance)))
        found = list(STEP_CHECKS[service](query)) if is_broken else []
        match service:
            case "orders":
                found.extend(self._watch_orders(first))
            case "payments":
                found.extend(self._watch_payments(first))
            case "inventory":
                found.extend(self._watch_reservations(first))
                found.extend(self._watch_levels(second))
        return found

    def _watch_orders(self, text: str | None) -> Iterator[Violation]:
        for (order_id,), before, after in self._orders.changes(text):
            if after is None:
                yield Violation(check="step.orders", subject=order_id, text="the order is gone")
            elif before is not None:
                (status, version), (now, later) = before, after
                is_step = now == status or now in LEGAL[status]
                if not is_step or int(later) < int(version) or (now != status and later == version):
                    text = f"{status} at version {version} became {now} at version {later}"
                    yield Violation(check="step.orders", subject=order_id, text=text)

    def _watch_payments(self, text: str | None) -> Iterator[Violation]:
        for (order_id,), before, after in self._intents.changes(text):
            if after is None:
                yield Violation(check="step.payments", subject=order_id, text="the payment is gone")
            elif before is not None:
                is_step = after[0] == before[0] or after[0] in PAYMENT_STEPS[before[0]]
                # Captured, refunded and the version only grow.
                is_less = any(int(now) < int(then) for then, now in zip(before[1:], after[1:], strict=True))
                if not is_step or is_less:
                    text = f"state, captured, refunded, version {before} became {after}"
                    yield Violation(check="step.payments", subject=order_id, text=text)

    def _watch_reservations(self, text: str | None) -> Iterator[Violation]:
        for (order_id,), before, after in self._reservations.changes(text):
            now = after[0] if after else "gone"
            if before is not None and now not in RESERVATION_STEPS[before[0]]:
                text = f"the reservation was {before[0]} and is {now}"
                yield Violation(check="step.pieces", subject=order_id, text=text)

    def _watch_levels(self, text: str | None) -> Iterator[Violation]:
        for (sku, location, _), before, after in self._levels.changes(text):
            if before is not None and (after is None or int(after[0]) < int(before[0])):
                text = f"version {before[0]} at {location} became {after[0] if after else 'nothing'}"
                yield Violation(check="step.pieces", subject=sku, text=text)
