"""Connections to one PostgreSQL database: made when needed, lent to one caller at a time, not trusted when in doubt.

The driver's own pool costs more than a statement: two tasks and a timer for each time that somebody is served.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import asyncpg

from hansa.kernel.clock import Clock

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection

IDLE_S = 300.0
"""How long a connection may lie idle; it is looked at whenever another one is given back."""


class Pool:
    """At most `size` connections. Whoever finds none waits in line, for `patience_s`, and then gets a TimeoutError."""

    def __init__(
        self, *, connect: Callable[[], Awaitable[Connection]], size: int, patience_s: float, clock: Clock
    ) -> None:
        self._connect = connect
        self._clock = clock
        self._patience_s = patience_s
        self._room = size
        """How many more connections may be made."""
        self._idle: deque[tuple[Connection, float]] = deque()
        self._lent: dict[Connection, bool] = {}
        """Each with whether it may be lent again."""
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._all_given: asyncio.Future[None] | None = None
        """There once the pool is being closed."""

    async def take(self) -> Connection:
        """A connection that is idle, or else a new one. The last used is the first, so that a quiet shop has few."""
        if self._all_given is not None:
            raise asyncpg.InterfaceError("the pool is closed")
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.is_closed():
                self._lent[connection] = True
                return connection
            self._room += 1
        if self._room:
            self._room -= 1
        elif (given := await self._turn()) is not None:
            return given
        try:
            connection = await self._connect()
        except BaseException:
            self._make_room()
            raise
        self._lent[connection] = True
        return connection

    def give(self, connection: Connection) -> None:
        """Give a connection back.

        Where one has been lost, the others are not to be trusted either: of a server that vanished without a word, each
        would be noticed only by its own time-out.
        """
        is_trusted = self._lent.pop(connection)
        if connection.is_closed():
            self._distrust_others()
            self._make_room()
        elif not is_trusted or connection.is_in_transaction():
            connection.terminate()
            self._make_room()
        elif (turn := self._next()) is not None:
            self._lent[connection] = True
            turn.set_result(connection)
        else:
            self._keep(connection)
        if self._all_given is not None and not self._lent and not self._all_given.done():
            self._all_given.set_result(None)

    async def close(self, *, within_s: float) -> None:
        """Wait for those who have a connection and take leave of the server, both only for so long."""
        self._all_given = asyncio.get_running_loop().create_future()
        while (turn := self._next()) is not None:
            turn.set_exception(asyncpg.InterfaceError("the pool is closed"))
        if not self._lent:
            self._all_given.set_result(None)
        try:
            async with asyncio.timeout(within_s):
                await self._all_given
                await asyncio.gather(*(connection.close() for connection, _ in self._idle), return_exceptions=True)
        except TimeoutError:
            for connection in [*self._lent, *(idle for idle, _ in self._idle)]:
                connection.terminate()
        self._idle.clear()

    def _keep(self, connection: Connection) -> None:
        now = self._clock.monotonic()
        self._idle.append((connection, now))
        while self._idle[0][1] < now - IDLE_S:
            self._idle.popleft()[0].terminate()
            self._room += 1

    def _distrust_others(self) -> None:
        for connection, _ in self._idle:
            connection.terminate()
            self._room += 1
        self._idle.clear()
        self._lent = dict.fromkeys(self._lent, False)

    def _make_room(self) -> None:
        """Room for a new connection: of whoever is next in line, if somebody waits."""
        if (turn := self._next()) is not None:
            turn.set_result(None)
        else:
            self._room += 1

    def _next(self) -> "asyncio.Future[Connection | None] | None":
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                return turn
        return None

    async def _turn(self) -> Connection | None:
        """Wait in line for a connection, or for room to make one."""
        turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._patience_s):
                return await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # Called at the very moment of leaving: the next one is.
                if (connection := turn.result()) is None:
                    self._make_room()
                else:
                    self.give(connection)
            raise
