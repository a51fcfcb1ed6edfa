"""The stores under fire: what can be done to each, and what may follow from it."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from tests.memcached_server import MemcachedServer
from tests.ports import HOST
from tests.redis_server import RedisServer
from tests.redis_sets import RedisSentinels

DOWN_S = (0.0, 1.5)
FROZEN_S = (0.2, 2.0)
LOOK_S = 0.1


class Burning(Protocol):
    """A store, and what can be done to it, by name. One that is `forgetful` may go back to an older state."""

    @property
    def address(self) -> str:
        """As in the setting `cache`."""
        ...

    @property
    def is_forgetful(self) -> bool: ...

    @property
    def acts(self) -> Mapping[str, Callable[[], Awaitable[None]]]: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


class OneRedis:
    """It keeps nothing on disks: what came back from there would be older than what was told."""

    is_forgetful = False

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._server = RedisServer("--appendonly", "no")
        self.address = self._server.url
        self.start, self.stop = self._server.start, self._server.stop
        self.acts = {"kill -9": self._kill, "SIGSTOP": self._freeze, "FLUSHALL": self._flush}

    async def _kill(self) -> None:
        self._server.kill()
        await asyncio.sleep(self._chance.uniform(*DOWN_S))
        await asyncio.to_thread(self._server.start)

    async def _freeze(self) -> None:
        with self._server.frozen():
            await asyncio.sleep(self._chance.uniform(*FROZEN_S))

    async def _flush(self) -> None:
        self._server.ask(lambda client: client.flushall())
        await asyncio.sleep(LOOK_S)


class Sentinels:
    """Whoever becomes the master may not know yet what the one before it has confirmed."""

    is_forgetful = True

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._set = RedisSentinels()
        self.address = self._set.url
        self.start, self.stop = self._set.start, self._set.stop
        self.acts = {"failover": self._fail_over, "SIGSTOP": self._freeze, "FLUSHALL": self._flush}

    async def _fail_over(self) -> None:
        """The replica takes the place, and the master comes back as a replica."""
        server = self._set.master
        server.kill()
        while self._set.master is server:
            await asyncio.sleep(LOOK_S)
        await asyncio.to_thread(self._set.start)

    async def _freeze(self) -> None:
        """For longer than a blink that is a failover, too, and for a moment there are two masters."""
        with self._set.master.frozen():
            await asyncio.sleep(self._chance.uniform(*FROZEN_S))
        await asyncio.to_thread(self._set.start)

    async def _flush(self) -> None:
        self._set.master.ask(lambda client: client.flushall())
        await asyncio.sleep(LOOK_S)


class TwoMemcached:
    """Each has a part of the keys."""

    is_forgetful = False

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._servers = MemcachedServer(), MemcachedServer()
        self.address = f"memcached://{','.join(f'{HOST}:{server.port}' for server in self._servers)}"
        self.acts = {"kill -9 of one": self._kill, "SIGSTOP of one": self._freeze, "flush_all": self._flush}

    def start(self) -> None:
        for server in self._servers:
            server.start()

    def stop(self) -> None:
        for server in self._servers:
            server.stop()

    async def _kill(self) -> None:
        server = self._chance.choice(self._servers)
        server.kill()
        await asyncio.sleep(self._chance.uniform(*DOWN_S))
        await asyncio.to_thread(server.start)

    async def _freeze(self) -> None:
        with self._chance.choice(self._servers).frozen():
            await asyncio.sleep(self._chance.uniform(*FROZEN_S))

    async def _flush(self) -> None:
        for server in self._servers:
            server.ask(b"flush_all")
        await asyncio.sleep(LOOK_S)


STORES: dict[str, Callable[[random.Random], Burning]] = {
    "redis": OneRedis,
    "sentinels": Sentinels,
    "memcached": TwoMemcached,
}
"""Each raises ServerMissing where it is not installed."""
