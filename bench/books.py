"""A shop's databases, read from outside while it goes on using them; and whether it has come to rest."""

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import asyncpg

from bench.servers import Postgres, Shop
from hansa.compose.stored import STORED

SERVICES = tuple(stored.name for stored in STORED)
LOOK_S = 0.02
DRAIN_S = 120.0
BUSY_S = 10.0
QUIET_LOOKS = 2
"""An event may move from one outbox to another behind the back of one look."""
UNFINISHED: Sequence[tuple[str, str]] = (
    ("orders pending", "SELECT count(*) FROM orders.orders WHERE status = 'pending'"),
    ("payments under way", "SELECT count(*) FROM payments.intents WHERE state IN ('created', 'pending')"),
    ("refunds under way", "SELECT count(*) FROM payments.refunds WHERE state = 'pending'"),
    *((f"events of {name} unsent", f"SELECT count(*) FROM {name}.outbox") for name in SERVICES),
)
"""States are looked at before outboxes: what comes to its end in between leaves an event behind."""
MAILS = ("mails due", "SELECT count(*) FROM notifications.mails WHERE state = 'due'")
"""A mail goes out when it can; nobody's clock runs for it, but its cost counts."""


class NotDrained(Exception):
    """A shop does not come to rest."""


class Books(Protocol):
    """One statement at a time, over the tables of all services, named as `service.table`."""

    async def rows(self, statement: str) -> Sequence[Sequence[Any]]: ...

    async def close(self) -> None: ...


class SqliteBooks:
    """The files of the data folder, attached side by side; read only."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(":memory:", uri=True, timeout=BUSY_S, isolation_level=None)
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 125)
        self._folder = folder
        self._attached: str = ""

    async def rows(self, statement: str) -> Sequence[Sequence[Any]]:
        # SQLite attaches at most ten files: those that the statement names.
        for name in SERVICES:
            if f"{name}." in statement:
                uri = f"file:{self._folder}/databases/{name}.db?mode=ro"
                self._connection.execute(f"ATTACH '{uri}' AS {name}")
        try:
            return self._connection.execute(statement).fetchall()
        finally:
            for name in SERVICES:
                if f"{name}." in statement:
                    self._connection.execute(f"DETACH {name}")

    async def close(self) -> None:
        self._connection.close()


class PostgresBooks:
    """The schemas of one database, as its superuser."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: asyncpg.Connection | None = None

    async def rows(self, statement: str) -> Sequence[Sequence[Any]]:
        if self._connection is None:
            self._connection = await asyncpg.connect(self._dsn)
        rows = await self._connection.fetch(statement)
        return [tuple(row) for row in rows]

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()


def books_of(shop: Shop) -> Books:
    return SqliteBooks(shop.folder) if shop.is_embedded else PostgresBooks(shop.database)


async def drained_at(books: Books, *, with_mails: bool = False, seconds: float = DRAIN_S) -> float:
    """Wait until nothing is under way and no event is unsent; the monotonic moment of the first look that found it so.

    The outbox of an embedded shop is empty only when all consumers have committed (docs/decisions/0003). Raises
    NotDrained.
    """
    looks = (*UNFINISHED, MAILS) if with_mails else UNFINISHED
    deadline = time.monotonic() + seconds
    quiet, quiet_since = 0, 0.0
    while True:
        began = time.monotonic()
        open_ends = await _first_unfinished(books, looks)
        quiet_since = began if quiet == 0 else quiet_since
        quiet = 0 if open_ends else quiet + 1
        if quiet == QUIET_LOOKS:
            return quiet_since
        if time.monotonic() > deadline:
            raise NotDrained(f"after {seconds:.0f} s there are still {open_ends}")
        await asyncio.sleep(LOOK_S)


async def _first_unfinished(books: Books, looks: Sequence[tuple[str, str]]) -> str:
    for words, statement in looks:
        count = (await books.rows(statement))[0][0]
        if count:
            return f"{count} {words}"
    return ""


def provider_entries(shop: Shop) -> dict[str, tuple[int, int, int]]:
    """What the sandbox provider's own ledger says by key: captured, how many captures, refunded."""
    uri = f"file:{shop.folder}/sandbox-provider/ledger.sqlite?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S)
    try:
        found = connection.execute(
            "SELECT key, sum(amount * (kind = 'captured')), sum(kind = 'captured'), sum(amount * (kind = 'refunded')) "
            "FROM entries GROUP BY key"
        ).fetchall()
    finally:
        connection.close()
    return {key: (captured, captures, refunded) for key, captured, captures, refunded in found}


def database_bytes(shop: Shop, server: Postgres | None) -> int:
    """What the shop's data occupies in its database, without what only waits to be reused, such as logs."""
    if shop.is_embedded or server is None:
        return sum(file.stat().st_size for file in (shop.folder / "databases").glob("*.db"))
    name = shop.database.rsplit("/", 1)[1]
    return int(server.execute(f"SELECT pg_database_size('{name}')"))
