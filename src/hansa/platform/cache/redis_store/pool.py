"""A bounded number of connections to one server, each for one question at a time.

The library's pool waits for locks while it takes and returns connections, so a cancelled question may lose one. Here
nothing is waited for in between, connections are opened beside the questions, and one whose answer was not read to its
end is never used again.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio.connection import Connection
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import ResponseError

from hansa.platform.cache.port import CacheTrouble
from hansa.platform.cache.redis_store.wire import OPEN_WITHIN_S, TROUBLE

MOST_CONNECTIONS = 16
MOST_WAITING = 10_000
"""Questions that may wait for a connection; further ones are refused."""


class Pool:
    """See the module. Whoever asks says how long by `asyncio.timeout`."""

    def __init__(self, *, open: Callable[[], Awaitable[Connection]], most: int = MOST_CONNECTIONS) -> None:
        self._open = open
        self._most = most
        self._usable: set[Connection] = set()
        self._idle: list[Connection] = []
        self._waiting: deque[asyncio.Future[Connection]] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def ask(self, *commands: bytes) -> Any:
        """The answer to the last one of commands that follow each other. Raises the library's errors."""
        connection = self._idle.pop() if self._idle else await self._wait()
        try:
            await connection.send_packed_command(commands, check_health=False)
            for _ in commands[1:]:
                await connection.read_response(disable_decoding=True)
            answer = await connection.read_response(disable_decoding=True)
        except ResponseError:
            if len(commands) > 1:  # of which one it is does not matter
                await self._discard(connection)
            else:
                await self._return(connection)
            raise
        except Exception as error:
            await self._discard(connection)
            await self.forget()  # the others are lost, too, or soon will be
            if isinstance(error, TROUBLE):
                raise
            raise Lost("it speaks another protocol") from error
        except BaseException:
            await self._discard(connection)
            raise
        await self._return(connection)
        return answer

    async def forget(self) -> None:
        """Use none of the present connections for further questions."""
        idle, self._idle = self._idle, []
        self._usable.clear()
        for connection in idle:
            await connection.disconnect(nowait=True)
        self._open_more()

    async def close(self) -> None:
        self._is_closed = True
        opening = list(self._opening)
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        self._refuse("closed")
        await self.forget()

    async def _wait(self) -> Connection:
        if len(self._waiting) >= MOST_WAITING or self._is_closed:
            raise CacheTrouble("too many wait for a connection")
        future: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._open_more()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                await self._return(future.result())  # it was dealt one in the very moment
            raise

    async def _return(self, connection: Connection) -> None:
        """Nothing in here waits, so a cancellation does not come between."""
        if connection not in self._usable or not connection.is_connected:
            await self._discard(connection)
            return
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(connection)
                return
        self._idle.append(connection)

    async def _discard(self, connection: Connection) -> None:
        self._usable.discard(connection)
        await connection.disconnect(nowait=True)
        self._open_more()

    def _open_more(self) -> None:
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
        room = self._most - len(self._usable) - len(self._opening)
        for _ in range(min(room, len(self._waiting) - len(self._opening))):
            if not self._is_closed:
                self._opening.add(asyncio.create_task(self._open_one()))

    async def _open_one(self) -> None:
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                connection = await self._open()
        except Exception as error:
            self._end_opening()
            if not self._usable:  # else one of those that are open comes back
                self._refuse(type(error).__name__)
            return
        except asyncio.CancelledError:
            self._end_opening()
            raise
        self._end_opening()
        self._usable.add(connection)
        await self._return(connection)

    def _end_opening(self) -> None:
        """Before anybody hears of it, for whoever is refused may ask again at once."""
        task = asyncio.current_task()
        if task is not None:
            self._opening.discard(task)

    def _refuse(self, reason: str) -> None:
        waiting, self._waiting = self._waiting, deque()
        for future in waiting:
            if not future.done():
                future.set_exception(CacheTrouble(f"no connection: {reason}"))
