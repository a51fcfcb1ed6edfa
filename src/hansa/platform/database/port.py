"""What a database is to a service: one door for writing, one for reading, and statements declared once."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import msgspec

from hansa.kernel.clock import Clock, to_micros
from hansa.kernel.event import LARGEST_BODY, Envelope, Event
from hansa.kernel.ids import Ids
from hansa.platform.database import platform_tables
from hansa.platform.database.statement import Statement
from hansa.platform.telemetry.logs import correlation as current_correlation
from hansa.platform.telemetry.tracing import traceparent as current_traceparent

_open: ContextVar[str] = ContextVar("hansa_open_transaction", default="")


class Row(Protocol):
    """One row, by position or by column name."""

    def __getitem__(self, key: int | str, /) -> Any: ...


class RemoteCallInTransaction(RuntimeError):
    """Somebody awaited another service, or opened a second transaction, while rows were held."""


class TransactionBroken(RuntimeError):
    """Somebody caught the error of a failed statement and went on: a transaction with one cannot commit."""


def forbid_open_transaction(what: str) -> None:
    """Raise if the caller holds a transaction: nothing remote is awaited inside one, in any shape of the shop."""
    if holder := _open.get():
        raise RemoteCallInTransaction(f"{what} while a transaction on {holder} is open")


@contextmanager
def marked_open(name: str) -> Iterator[None]:
    """For adapters: what runs inside holds a transaction on the named database."""
    forbid_open_transaction(f"a transaction on {name}")
    token = _open.set(name)
    try:
        yield
    finally:
        _open.reset(token)


class Reader(ABC):
    """A consistent view of the rows."""

    @abstractmethod
    async def all(self, statement: Statement, /, **parameters: Any) -> Sequence[Row]:
        """Every row of the answer. A set parameter is a sequence of tuples, or of single values."""

    async def one(self, statement: Statement, /, **parameters: Any) -> Row | None:
        """The first row of the answer, or None."""
        rows = await self.all(statement, **parameters)
        return rows[0] if rows else None


class Transaction(Reader):
    """Rows being written; they commit together with the events emitted, or not at all."""

    def __init__(self, *, source: str, clock: Clock, ids: Ids) -> None:
        self._source = source
        self._clock = clock
        self._ids = ids
        self._events: list[Envelope] = []

    @property
    def events(self) -> Sequence[Envelope]:
        return self._events

    async def run(self, statement: Statement, /, **parameters: Any) -> None:
        """Execute a statement for its effect."""
        await self.all(statement, **parameters)

    def emit(
        self,
        event: Event,
        *,
        slot: int,
        aggregate: str,
        version: int = 1,
        channel: str = "",
        seller: str = "",
        location: str = "",
        subject: str = "",
        correlation: str = "",
        traceparent: str = "",
    ) -> None:
        """Say that something has happened; it is published if, and only if, this transaction commits.

        Raises ValueError for an event that is larger than any broker takes."""
        body = msgspec.json.encode(event)
        if len(body) > LARGEST_BODY:
            raise ValueError(f"{event.type} has {len(body)} bytes, more than {LARGEST_BODY}")
        self._events.append(
            Envelope(
                id=self._ids.new(slot=slot),
                type=event.type,
                source=self._source,
                time=self._clock.now(),
                slot=slot,
                aggregate=aggregate,
                version=version,
                channel=channel,
                seller=seller,
                location=location,
                subject=subject,
                correlation=correlation or current_correlation(),
                traceparent=traceparent or current_traceparent(),
                body=msgspec.Raw(body),
            )
        )

    async def flush(self) -> None:
        """For adapters: write the emitted events into the outbox, just before the commit."""
        if self._events:
            now = to_micros(self._clock.now())
            rows = [(e.slot, int(e.id), msgspec.json.encode(e).decode(), now) for e in self._events]
            await self.run(platform_tables.ADD_EVENTS, rows=rows)


class Database(ABC):
    """One service's database. `write` and `read` are its only doors."""

    name: str

    @abstractmethod
    def write(self, *slots: int) -> AbstractAsyncContextManager[Transaction]:
        """A transaction over rows of the named slots; slots on one node commit together.

        Leaving the block commits, durably; an exception rolls back. Raises StorageFull or StorageBusy when nothing
        was kept; any other fault during the commit means that it may have been.
        """

    @abstractmethod
    def read(self, *slots: int) -> AbstractAsyncContextManager[Reader]:
        """A snapshot for several statements that must agree with each other."""

    async def all(self, statement: Statement, /, **parameters: Any) -> Sequence[Row]:
        """Every row of one statement, in a snapshot of its own."""
        async with self.read() as reader:
            return await reader.all(statement, **parameters)

    async def one(self, statement: Statement, /, **parameters: Any) -> Row | None:
        async with self.read() as reader:
            return await reader.one(statement, **parameters)

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...

    async def give_back(self) -> None:
        """Free the memory that is kept only in case it is needed again. Nobody notices but for a moment."""
        return

    def on_commit_of_events(self, notify: "Notify") -> None:
        """Call `notify` with the events of each commit, so that the relay need not look for them."""
        self._notify = notify

    def on_commit(self, hear: Callable[[Sequence[Envelope]], None]) -> None:
        """Call `hear` with the events of each commit, before whoever committed goes on. It is quick and does not
        raise."""
        self._hear = hear

    def _committed(self, transaction: Transaction) -> None:
        if not transaction.events:
            return
        if (hear := getattr(self, "_hear", None)) is not None:
            hear(transaction.events)
        if notify := getattr(self, "_notify", None):
            notify(transaction.events)


class Notify(Protocol):
    def __call__(self, events: Sequence[Envelope], /) -> None: ...
