"""What the checkers look at: every row of every database, the provider's own books, and what clients were told."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hansa.platform.providers.sandbox_words import Entry
from tests.simulation.workload.door import Operation

RowDict = Mapping[str, Any]
RESERVATION_LINES = ("inventory", "reservation_lines")
"""What the reservations stand for, as `tests.reserved` spells it out: no table, but looked at like one."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A shop at rest: all faults are over and everything had time to come to its end."""

    tables: Mapping[tuple[str, str], Sequence[RowDict]]
    """Rows by (service, table), as the tables of `hansa.services.*.tables` and `platform_tables` name them."""
    books: Sequence[Entry]
    """The payment provider's own ledger."""
    operations: Sequence[Operation] = ()
    received: Mapping[str, int] = field(default_factory=dict)
    """Pieces per sku before the first operation."""
    sent: Mapping[str, int] = field(default_factory=dict)
    """Where the bus was watched: how often each consumer *committed the effect* of an event, by "consumer event_id"."""

    emitted: Mapping[str, str] = field(default_factory=dict)
    """Where commits were watched: the type of every event that was ever committed, by its id."""
    consumers: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    """Who hears a type of event: service and consumer."""

    def rows(self, service: str, table: str) -> Sequence[RowDict]:
        """Raises KeyError for a table that nobody has handed in: an unseen table proves nothing."""
        return self.tables[service, table]


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A promise that was broken, and whose."""

    check: str
    """The invariant's name, as docs/reliability.md lists it."""
    subject: str
    """The order id, sku, product id or event id concerned; its history is printed."""
    text: str

    def __str__(self) -> str:
        return f"{self.check}: {self.text} [{self.subject}]"


Check = Callable[[Evidence], Iterable[Violation]]
