"""Hearing what others drop: one connection of the process, and how it is known that nothing passes unheard."""

import asyncio
import random
from collections.abc import Sequence

import structlog
from redis.asyncio.connection import Connection
from redis.exceptions import ConnectionError as Lost

from hansa.kernel.clock import Clock
from hansa.platform.cache.port import CacheTrouble, Listener
from hansa.platform.cache.redis_store.servers import Servers
from hansa.platform.cache.redis_store.wire import TROUBLE

CHECK_EVERY_S = 1.0
ANSWER_WITHIN_S = 1.0
"""So a line that is dead without a sign of it is noticed within the sum of both."""
CONNECT_WITHIN_S = 3.0
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0
MOST_DOUBLINGS = 10

log = structlog.get_logger()


class Listening:
    """`run` goes on until it is cancelled. Listeners are deaf until they are told `missed`."""

    def __init__(self, *, servers: Servers, channel: bytes, clock: Clock, chance: random.Random) -> None:
        self._servers = servers
        self._channel = channel
        self._clock = clock
        self._chance = chance
        self._listeners: list[Listener] = []
        self._has_heard = False
        self.hears = asyncio.Event()

    def add(self, listener: Listener) -> None:
        self._listeners.append(listener)

    async def run(self) -> None:
        self._tell_that_deaf()
        trials = 0
        while True:
            self._has_heard = False
            try:
                await self._hear()
            except (*TROUBLE, CacheTrouble) as error:
                trials = 1 if self._has_heard else trials + 1
                if trials == 1:
                    log.warning("what is dropped from the cache is not heard", error=type(error).__name__)
            except Exception:
                trials += 1
                log.exception("what is dropped from the cache is not heard")
            await self._servers.suspect()
            pause_s = min(FIRST_PAUSE_S * 2 ** min(trials - 1, MOST_DOUBLINGS), LONGEST_PAUSE_S)
            await self._clock.sleep(pause_s * self._chance.uniform(0.5, 1.0))

    async def _hear(self) -> None:
        """Raises as soon as it cannot hear any more."""
        async with asyncio.timeout(CONNECT_WITHIN_S):
            connection = await self._servers.connect()
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await connection.send_command("SUBSCRIBE", self._channel, check_health=False)
                await connection.read_response(disable_decoding=True)
            answered = asyncio.Event()
            tasks = [
                asyncio.create_task(self._take(connection, answered)),
                asyncio.create_task(self._check(connection, answered)),
            ]
            try:
                self._tell_that_hears()
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._tell_that_deaf()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            raise done.pop().exception() or Lost("the connection has ended")
        finally:
            await connection.disconnect(nowait=True)

    async def _take(self, connection: Connection, answered: asyncio.Event) -> None:
        while True:
            message = await connection.read_response(disable_decoding=True)
            if message[0] == b"message":
                self._tell(message[2].decode("ascii", "replace").split(" "))
            elif message[0] == b"pong":
                answered.set()

    def _tell(self, keys: Sequence[str]) -> None:
        for listener in self._listeners:
            listener.dropped(keys)

    async def _check(self, connection: Connection, answered: asyncio.Event) -> None:
        while True:
            await self._clock.sleep(CHECK_EVERY_S)
            answered.clear()
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await connection.send_command("PING", check_health=False)
                await self._servers.confirm(connection)
                await answered.wait()

    def _tell_that_hears(self) -> None:
        self._has_heard = True
        self.hears.set()
        for listener in self._listeners:
            listener.missed()

    def _tell_that_deaf(self) -> None:
        self.hears.clear()
        for listener in self._listeners:
            listener.deaf()
