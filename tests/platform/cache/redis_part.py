"""One test's part of a Redis, by a namespace of its own."""

import itertools
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis, RedisCluster, Sentinel

from hansa.kernel.clock import SystemClock
from hansa.platform.cache.port import Listener
from hansa.platform.cache.redis_store.address import parse
from hansa.platform.cache.redis_store.store import RedisStore
from tests.platform.cache.parts import Damage, Part

AMPLE_S = 5.0
"""For an answer, where tests do not ask how soon it comes: the machine has other work."""

_numbers = itertools.count(1)


class RedisPart:
    """See `Part`."""

    def __init__(self, url: str) -> None:
        self.address = f"{url}?namespace=test{next(_numbers)}"
        self._stores: list[RedisStore] = []
        where = parse(self.address)
        self._prefix = f"{where.namespace}:hansa:cache:"
        self.client: Any
        if where.is_cluster:
            self.client = RedisCluster(host=where.nodes[0][0], port=where.nodes[0][1])
        elif where.master:
            self.client = Sentinel(where.nodes).master_for(where.master)
        else:
            self.client = Redis(host=where.nodes[0][0], port=where.nodes[0][1])

    def name(self, key: str) -> str:
        """Of the value, in Redis."""
        return f"{self._prefix}{key}"

    async def store(self, *, listener: Listener | None = None, within_s: float = AMPLE_S) -> RedisStore:
        number = next(_numbers)
        store = RedisStore(
            address=self.address,
            clock=SystemClock(),
            chance=random.Random(number),
            read_within_s=within_s,
            act_within_s=within_s,
        )
        self._stores.append(store)
        if listener is not None:
            store.listen(listener)
        await store.start()
        return store

    async def damage(self, key: str, damage: Damage) -> None:
        name = self.name(key)
        about = f"{name}:about" if "{" in key else f"{{{name}}}:about"
        value = await self.client.get(name)
        line = await self.client.get(about)
        if damage == "cut":
            await self.client.set(name, value[:-1])
        elif damage == "changed":
            await self.client.set(name, bytes([value[0] ^ 1]) + value[1:])
        elif damage == "foreign":
            await self.client.set(about, b"2" + line[1:] + b" more")
        else:
            await self.client.delete(name, about)
            await self.client.rpush(name, "a", "b")
            await self.client.hset(about, "a", "b")

    async def close(self) -> None:
        for store in self._stores:
            await store.close()
        await self.client.aclose()


def opened(fixture: str) -> Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Part]]:
    """What opens a part of the server, or the set, that a fixture of this name knows."""

    @asynccontextmanager
    async def open_part(request: pytest.FixtureRequest) -> AsyncIterator[RedisPart]:
        server = request.getfixturevalue(fixture)
        server.start()
        part = RedisPart(server.url)
        try:
            yield part
        finally:
            await part.close()

    return open_part
