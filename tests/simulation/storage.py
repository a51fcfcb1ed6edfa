"""Databases under the simulator: real SQLite in memory, one per service, shared by all processes as a server would be.

One lock per database: writers are serialised, and readers wait for them, which is an order that snapshots allow too.
What a process holds when it dies is rolled back; whether a commit was kept may stay unknown to who asked for it.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from hansa.kernel.clock import Clock
from hansa.kernel.errors import Fault, StorageBusy, StorageFull
from hansa.kernel.ids import Ids
from hansa.platform.database.port import Database, Reader, Row, Transaction, TransactionBroken, marked_open
from hansa.platform.database.sqlite import execute
from hansa.platform.database.statement import Statement

if TYPE_CHECKING:
    from tests.simulation.world import Process, World

CONNECTION_LOST_AFTER_S = 1.5
"""How long a process waits for a database that it is cut off from."""


SLOW_S = 2.0
"""How long a lock or a checkpoint may keep somebody waiting."""


class Store:
    """One service's database: the server's side."""

    def __init__(self, name: str, image: bytes) -> None:
        self.name = name
        self.connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=512)
        self.connection.deserialize(image)
        self.connection.row_factory = sqlite3.Row
        self.connection.execute("PRAGMA foreign_keys = ON")
        self.holder: object | None = None
        self.holding: Process | None = None
        self._waiting: deque[tuple[asyncio.Future[None], Process]] = deque()
        self.full_until = -1.0

    async def take(self, process: "Process") -> object:
        """Wait until nobody else is at it; the grant that is given back."""
        if self.holder is not None or self._waiting:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((turn, process))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._next()
                raise
        self.holder, self.holding = object(), process
        return self.holder

    def give(self, grant: object) -> None:
        if grant is self.holder:
            self._next()

    def forget(self, process: "Process") -> bool:
        """What a server does when a client is gone: roll back, and let the next one in. Whether that was needed."""
        if self.holding is not process:
            return False
        was_writing = self.connection.in_transaction
        if was_writing:
            self.connection.execute("ROLLBACK")
        self._next()
        return was_writing

    def query(self, text: str) -> list[sqlite3.Row]:
        """For those who watch from outside, between two transactions or after the commit of one."""
        return self.connection.execute(text).fetchall()

    def _next(self) -> None:
        self.holder = self.holding = None
        while self._waiting:
            turn, process = self._waiting.popleft()
            if not turn.done() and not process.is_dead:
                # Taken already, so that nobody who comes before the waiter wakes finds it free.
                self.holder, self.holding = object(), process
                turn.set_result(None)
                return


class SimulatedDatabase(Database):
    """A process's connection to one service's store."""

    def __init__(self, *, world: "World", process: "Process", store: Store, clock: Clock, ids: Ids) -> None:
        self.name = store.name
        self._world = world
        self._process = process
        self._store = store
        self._clock = clock
        self._ids = ids

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    @asynccontextmanager
    async def write(self, *slots: int) -> AsyncIterator[Transaction]:
        store = self._store
        with marked_open(self.name):
            await self._reach()
            grant = await store.take(self._process)
            try:
                store.connection.execute("BEGIN IMMEDIATE")
                transaction = _SimulatedTransaction(self._world, store, self.name, self._clock, self._ids)
                yield transaction
                await transaction.flush()
                transaction.check()
                await self._world.pause()
                self._commit(transaction)
            except BaseException:
                if grant is store.holder and store.connection.in_transaction:
                    store.connection.execute("ROLLBACK")
                raise
            finally:
                store.give(grant)
            await self._world.pause()
        self._committed(transaction)

    @asynccontextmanager
    async def read(self, *slots: int) -> AsyncIterator[Reader]:
        store = self._store
        with marked_open(self.name):
            await self._reach(is_pausing=False)
            grant = await store.take(self._process)
            try:
                yield _SimulatedReader(store)
            finally:
                store.give(grant)

    async def all(self, statement: Statement, /, **parameters: Any) -> Sequence[Row]:
        """One statement by itself; nobody else's can come in between."""
        store = self._store
        with marked_open(self.name):
            await self._reach(is_pausing=False)
            if store.holder is None:
                return execute(store.connection, statement, parameters)
            grant = await store.take(self._process)
            try:
                return execute(store.connection, statement, parameters)
            finally:
                store.give(grant)

    async def one(self, statement: Statement, /, **parameters: Any) -> Row | None:
        rows = await self.all(statement, **parameters)
        return rows[0] if rows else None

    async def _reach(self, *, is_pausing: bool = True) -> None:
        world, process = self._world, self._process
        if process.is_dead:
            raise Fault(f"{process.name} is dead")
        if is_pausing:
            await world.pause()
        else:
            await world.pause_now_and_then()
        if world.network.is_cut(process.machine, self.name):
            await asyncio.sleep(CONNECTION_LOST_AFTER_S)
            raise StorageBusy(f"no connection to {self.name}")
        if world.faults.strikes("database slow"):
            await world.travel(is_late=True, late_s=SLOW_S)
        if world.faults.strikes("database busy"):
            raise StorageBusy(f"{self.name} is busy")

    def _commit(self, transaction: "_SimulatedTransaction") -> None:
        world, store, process = self._world, self._store, self._process
        if process.is_dead:
            raise Fault(f"{process.name} is dead")
        if transaction.changes:
            if store.full_until > world.loop.time() or world.faults.strikes("disk full for one"):
                world.note("commit refused: disk full", self.name, transaction.changes)
                raise StorageFull(f"{self.name}: no room")
            if world.network.is_cut(process.machine, self.name) or world.faults.strikes("commit unknown, not kept"):
                world.note("commit unknown, not kept", self.name, transaction.changes)
                raise Fault("lost the connection while committing")
        store.connection.execute("COMMIT")
        if not transaction.changes:
            return
        world.note("committed", self.name, transaction.changes)
        world.committed(store, transaction)
        if world.faults.strikes("commit unknown, kept"):
            raise Fault("lost the connection while committing")


class _SimulatedReader(Reader):
    def __init__(self, store: Store) -> None:
        self._store = store

    async def all(self, statement: Statement, /, **parameters: Any) -> Sequence[Row]:
        return execute(self._store.connection, statement, parameters)


class _SimulatedTransaction(Transaction):
    """`changes` are the statements that it has run, for histories; `handled` what consumers have done in it."""

    def __init__(self, world: "World", store: Store, name: str, clock: Clock, ids: Ids) -> None:
        super().__init__(source=name, clock=clock, ids=ids)
        self._world = world
        self._store = store
        self._is_broken = False
        self._total = store.connection.total_changes
        self.changes: list[tuple[Statement, dict[str, Any]]] = []
        self.handled: list[tuple[str, str]] = []

    async def all(self, statement: Statement, /, **parameters: Any) -> Sequence[Row]:
        self.check()
        await self._world.pause_now_and_then()
        connection = self._store.connection
        try:
            rows = execute(connection, statement, parameters)
        except (sqlite3.Error, Fault):
            self._is_broken = True
            raise
        if (total := connection.total_changes) != self._total:
            self._total = total
            self.changes.append((statement, parameters))
        return rows

    def check(self) -> None:
        if self._is_broken:
            raise TransactionBroken("a statement failed, so nothing is committed")
