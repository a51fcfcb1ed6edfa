"""SQLite: one file, one writer, snapshots for readers; durable at every commit (WAL, synchronous=FULL)."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from hansa.kernel.clock import Clock
from hansa.kernel.errors import Fault, StorageBusy, StorageFull
from hansa.kernel.ids import Ids
from hansa.platform.database.committer import Committer
from hansa.platform.database.port import Database, Reader, Row, Transaction, TransactionBroken, marked_open
from hansa.platform.database.statement import SQLITE, Statement

IDLE_READERS = 8
"""Connections kept open for reading; a burst opens more and closes them afterwards."""
BUSY_TIMEOUT_S = 5.0
CACHED_STATEMENTS = 512
PAGES_BETWEEN_CHECKPOINTS = 4000
"""16 MB: a page that many commits touch is copied from the journal into the file once for all of them."""

_OUT_OF_ROOM = frozenset({sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
"""How SQLite names a full disk or quota, besides SQLITE_FULL."""


class SqliteDatabase(Database):
    """Statements run inline on the loop, in microseconds; the commit, which waits for the disk, has a thread."""

    def __init__(self, *, name: str, path: Path, clock: Clock, ids: Ids) -> None:
        self.name = name
        self.path = path
        self._clock = clock
        self._ids = ids
        self._lock = asyncio.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._committer = Committer(name=f"commit-{name}")
        self._writer: sqlite3.Connection | None = None

    async def open(self) -> None:
        self._writer = connect(self.path)

    async def close(self) -> None:
        async with self._lock:
            self._committer.close()
            for connection in [*self._idle, *([self._writer] if self._writer else [])]:
                connection.close()
            self._idle, self._writer = [], None

    async def give_back(self) -> None:
        """Empty the page caches, 2 MB for each connection when it has seen much; the operating system has the pages."""
        async with self._lock:
            for connection in [*self._idle, *([self._writer] if self._writer else [])]:
                connection.execute("PRAGMA shrink_memory")

    @asynccontextmanager
    async def write(self, *slots: int) -> AsyncIterator[Transaction]:
        with marked_open(self.name):
            async with self._lock:
                connection = self._opened()
                with translated():
                    connection.execute("BEGIN IMMEDIATE")
                transaction = _SqliteTransaction(connection, source=self.name, clock=self._clock, ids=self._ids)
                try:
                    yield transaction
                    await transaction.flush()
                    transaction.check()
                    await self._commit(connection, transaction)
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise

    @asynccontextmanager
    async def read(self, *slots: int) -> AsyncIterator[Reader]:
        with marked_open(self.name):
            self._opened()
            connection = self._idle.pop() if self._idle else connect(self.path, is_reader=True)
            try:
                connection.execute("BEGIN")
                yield _SqliteReader(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                if self._writer is not None and len(self._idle) < IDLE_READERS:
                    self._idle.append(connection)
                else:
                    connection.close()

    async def all(self, statement: Statement, /, **parameters: Any) -> Sequence[Row]:
        """One statement is a snapshot by itself: no transaction around it."""
        with marked_open(self.name):
            self._opened()
            connection = self._idle.pop() if self._idle else connect(self.path, is_reader=True)
            try:
                return execute(connection, statement, parameters)
            finally:
                self._idle.append(connection)

    async def one(self, statement: Statement, /, **parameters: Any) -> Row | None:
        rows = await self.all(statement, **parameters)
        return rows[0] if rows else None

    def _opened(self) -> sqlite3.Connection:
        if self._writer is None:
            raise Fault(f"the database {self.name} is closed")
        return self._writer

    async def _commit(self, connection: sqlite3.Connection, transaction: Transaction) -> None:
        """Wait for the disk outside the loop. A cancelled caller still waits, so that the connection is never torn, and
        what was committed is told."""
        commit = self._committer.submit(connection.commit)
        try:
            with translated():
                await commit
        except asyncio.CancelledError:
            with translated():
                commit.result()
            self._committed(transaction)
            raise
        self._committed(transaction)


class _SqliteReader(Reader):
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def all(self, statement: Statement, /, **parameters: Any) -> Sequence[Row]:
        return execute(self._connection, statement, parameters)


class _SqliteTransaction(Transaction):
    def __init__(self, connection: sqlite3.Connection, *, source: str, clock: Clock, ids: Ids) -> None:
        super().__init__(source=source, clock=clock, ids=ids)
        self._connection = connection
        self._is_broken = False

    async def all(self, statement: Statement, /, **parameters: Any) -> Sequence[Row]:
        self.check()
        try:
            return execute(self._connection, statement, parameters)
        except (sqlite3.Error, Fault):
            self._is_broken = True
            raise

    def check(self) -> None:
        """Refuse to go on after a failed statement: SQLite would, PostgreSQL would not."""
        if self._is_broken:
            raise TransactionBroken("a statement failed, so nothing is committed")


def connect(path: Path, *, is_reader: bool = False) -> sqlite3.Connection:
    """A connection with the settings every Hansa database has."""
    with translated():
        connection = sqlite3.connect(
            path,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=CACHED_STATEMENTS,
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        connection.execute(f"PRAGMA wal_autocheckpoint = {PAGES_BETWEEN_CHECKPOINTS}")
        if is_reader:
            connection.execute("PRAGMA query_only = ON")
    return connection


def execute(connection: sqlite3.Connection, statement: Statement, parameters: dict[str, Any]) -> Sequence[Row]:
    text, values = statement.bind(SQLITE, parameters)
    with translated():
        return connection.execute(text, values).fetchall()


class translated:
    """Turns the driver's errors into the port's: no room, busy, and a disk of which nobody knows what it kept."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if not isinstance(error, sqlite3.OperationalError):
            return
        primary = error.sqlite_errorcode & 0xFF
        if primary == sqlite3.SQLITE_FULL or error.sqlite_errorcode in _OUT_OF_ROOM:
            raise StorageFull(str(error)) from error
        if primary == sqlite3.SQLITE_IOERR:
            raise Fault(str(error)) from error
        if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StorageBusy(str(error)) from error
