"""PostgreSQL: one schema and one role per service, a pool that outlives the server, durable at every commit."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import asyncpg
from asyncpg.exceptions import InvalidCachedStatementError, OutdatedSchemaCacheError

from hansa.kernel.clock import Clock
from hansa.kernel.errors import Fault, StorageBusy, StorageFull
from hansa.kernel.ids import Ids
from hansa.platform.database.port import Database, Reader, Row, Transaction, TransactionBroken, marked_open
from hansa.platform.database.postgres_pool import Connection, Pool
from hansa.platform.database.postgres_schema import role_of
from hansa.platform.database.statement import POSTGRESQL, Statement

POOL_SIZE = 10
CONNECT_TIMEOUT_S = 5.0
ACQUIRE_TIMEOUT_S = 10.0
"""How long a caller waits for one of the pool's connections."""
STATEMENT_TIMEOUT_S = 30.0
LOCK_TIMEOUT_S = 10.0
IDLE_IN_TRANSACTION_TIMEOUT_S = 60.0
SILENCE_TIMEOUT_S = STATEMENT_TIMEOUT_S + 5.0
"""A server that has not even said that a statement took too long is gone."""
ROLLBACK_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 5.0
CACHED_STATEMENTS = 512

_OUT_OF_ROOM = "53100"
_BROKEN_OFF = frozenset(
    {
        "25P03",  # idle in the transaction for too long
        "40001",  # not serializable
        "40P01",  # deadlock
        "53000",  # resources of the server, of which the following are the known ones
        "53200",  # memory
        "53300",  # connections
        "53400",  # a configured limit, such as that of temporary files
        "55P03",  # lock time-out
        "57014",  # statement time-out, or cancelled by hand
    }
)
_IN_BROKEN_TRANSACTION = "25P02"
_CONNECTION_ENDED = ("08", "57P")
"""Classes of errors that end the connection: the network, and a server that stops, crashes or is about to start."""

_DRIVER_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

T = TypeVar("T")


class PostgresDatabase(Database):
    """A pool of connections that are the service's role, in the service's schema (`migrations.migrate` makes both)."""

    def __init__(self, *, name: str, dsn: str, clock: Clock, ids: Ids, pool_size: int = POOL_SIZE) -> None:
        self.name = name
        self._dsn = dsn
        self._clock = clock
        self._ids = ids
        self._pool_size = pool_size
        self._pool: Pool | None = None

    async def open(self) -> None:
        """Make the pool. Connections are made when needed, so the server may come up later, or die and come back."""

        async def connect() -> Connection:
            return await asyncpg.connect(
                self._dsn,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=silence_s,
                statement_cache_size=CACHED_STATEMENTS,
                server_settings=settings,
            )

        settings, silence_s = _settings(self.name), SILENCE_TIMEOUT_S
        self._pool = Pool(connect=connect, size=self._pool_size, patience_s=ACQUIRE_TIMEOUT_S, clock=self._clock)

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is None:
            return
        await pool.close(within_s=CLOSE_TIMEOUT_S)

    @asynccontextmanager
    async def write(self, *slots: int) -> AsyncIterator[Transaction]:
        with marked_open(self.name):
            async with self._connection() as connection:
                transaction = _PostgresTransaction(connection, source=self.name, clock=self._clock, ids=self._ids)
                try:
                    await _execute(connection, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
                    yield transaction
                    await transaction.flush()
                except BaseException:
                    await _undisturbed(_roll_back(connection))
                    raise
                await _undisturbed(self._commit(connection, transaction))

    async def _commit(self, connection: Connection, transaction: Transaction) -> None:
        await _commit(connection)
        self._committed(transaction)

    @asynccontextmanager
    async def read(self, *slots: int) -> AsyncIterator[Reader]:
        with marked_open(self.name):
            async with self._connection() as connection:
                try:
                    await _execute(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    yield _PostgresReader(connection)
                finally:
                    await _undisturbed(_roll_back(connection))

    async def all(self, statement: Statement, /, **parameters: Any) -> Sequence[Row]:
        """One statement is a snapshot by itself: no transaction around it, which spares two trips to the server."""
        with marked_open(self.name):
            async with self._connection() as connection:
                return await _fetch(connection, statement, parameters)

    async def one(self, statement: Statement, /, **parameters: Any) -> Row | None:
        rows = await self.all(statement, **parameters)
        return rows[0] if rows else None

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        pool = self._pool
        if pool is None:
            raise Fault(f"the database {self.name} is closed")
        with _translating(None):
            connection = await pool.take()
        try:
            yield connection
        finally:
            pool.give(connection)


class _PostgresReader(Reader):
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all(self, statement: Statement, /, **parameters: Any) -> Sequence[Row]:
        return await _fetch(self._connection, statement, parameters)


class _PostgresTransaction(Transaction):
    def __init__(self, connection: Connection, *, source: str, clock: Clock, ids: Ids) -> None:
        super().__init__(source=source, clock=clock, ids=ids)
        self._connection = connection

    async def all(self, statement: Statement, /, **parameters: Any) -> Sequence[Row]:
        return await _fetch(self._connection, statement, parameters)


def _settings(name: str) -> dict[str, str]:
    return {
        "application_name": f"hansa {name}",
        "role": role_of(name),
        "search_path": name,
        "default_transaction_read_only": "on",  # a statement outside `write` changes nothing, as on SQLite
        "synchronous_commit": "on",
        "statement_timeout": _milliseconds(STATEMENT_TIMEOUT_S),
        "lock_timeout": _milliseconds(LOCK_TIMEOUT_S),
        "idle_in_transaction_session_timeout": _milliseconds(IDLE_IN_TRANSACTION_TIMEOUT_S),
        "jit": "off",  # compiling takes longer than any statement of a shop runs
    }


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))


async def _fetch(connection: Connection, statement: Statement, parameters: dict[str, Any]) -> Sequence[Row]:
    text, values = statement.bind(POSTGRESQL, parameters)
    with _translating(connection):
        return await connection.fetch(text, *values)


async def _execute(connection: Connection, text: str) -> None:
    with _translating(connection):
        await connection.execute(text)


async def _commit(connection: Connection) -> None:
    if _is_lost(connection):
        raise StorageBusy("lost the connection before the commit")
    with _translating(connection, is_commit=True):
        outcome = await connection.execute("COMMIT")
    if outcome != "COMMIT":  # the server's way of saying that it rolled back
        raise TransactionBroken("a statement failed, so nothing was committed")


async def _roll_back(connection: Connection) -> None:
    """Whatever stands in the way of a rollback, ending the connection does the same."""
    if _is_lost(connection):
        return
    try:
        await connection.execute("ROLLBACK", timeout=ROLLBACK_TIMEOUT_S)
    except _DRIVER_ERRORS:
        _end(connection)


def _is_lost(connection: Connection) -> bool:
    """Whether it has ended; the pool may have noticed first and taken it out of our hands."""
    return connection.is_closed()


def _end(connection: Connection) -> None:
    if not _is_lost(connection):
        connection.terminate()


async def _undisturbed(work: Coroutine[Any, Any, T]) -> T:
    """Finish the work even if the caller is cancelled meanwhile; the caller then learns of it afterwards."""
    task = asyncio.get_running_loop().create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except BaseException:
            break
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result


@contextmanager
def _translating(connection: Connection | None, *, is_commit: bool = False) -> Iterator[None]:
    """Put the driver's errors into the port's words: no room, and busy; all else stays as it is.

    Once a commit has been sent, a lost connection means that nobody knows; before that, that nothing was kept.
    """
    try:
        yield
    except _DRIVER_ERRORS as error:
        state = getattr(error, "sqlstate", None) or ""
        if state == _OUT_OF_ROOM:
            raise StorageFull(str(error)) from error
        if state in _BROKEN_OFF or isinstance(error, (InvalidCachedStatementError, OutdatedSchemaCacheError)):
            raise StorageBusy(str(error)) from error
        if state == _IN_BROKEN_TRANSACTION:
            raise TransactionBroken(str(error)) from error
        if isinstance(error, (asyncpg.InternalClientError, TimeoutError)) and connection is not None:
            # A server that goes down says so to idle connections too, which confuses the driver before it has noticed;
            # and one that has gone silent will not answer a polite farewell either.
            _end(connection)
        if not (_ends_connection(error) or (connection is not None and _is_lost(connection))):
            raise
        if is_commit:
            raise Fault(f"lost the connection while committing: {error}") from error
        raise StorageBusy(f"lost the connection: {error}") from error


def _ends_connection(error: Exception) -> bool:
    return isinstance(error, OSError) or (getattr(error, "sqlstate", None) or "").startswith(_CONNECTION_ENDED)
