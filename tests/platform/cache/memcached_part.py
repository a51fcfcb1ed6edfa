"""One test's part of two Memcached, by a namespace of its own."""

import itertools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hansa.kernel.clock import SystemClock
from hansa.platform.cache.memcached.store import MemcachedStore
from hansa.platform.cache.port import Listener
from tests.memcached_server import MemcachedServer
from tests.platform.cache.parts import Damage, Part

AMPLE_S = 5.0
"""For an answer, where tests do not ask how soon it comes: the machine has other work."""

_numbers = itertools.count(1)


class MemcachedPart:
    """See `Part`."""

    def __init__(self, *servers: MemcachedServer) -> None:
        self._servers = servers
        self._namespace = f"test{next(_numbers)}"
        self._stores: list[MemcachedStore] = []

    @property
    def address(self) -> str:
        return f"memcached://{','.join(server.place for server in self._servers)}?namespace={self._namespace}"

    async def store(self, *, listener: Listener | None = None) -> MemcachedStore:
        chance = random.Random(next(_numbers))
        store = MemcachedStore(
            address=self.address, clock=SystemClock(), chance=chance, read_s=AMPLE_S, change_s=AMPLE_S
        )
        self._stores.append(store)
        if listener is not None:
            store.listen(listener)
        await store.start()
        return store

    async def damage(self, key: str, damage: Damage) -> None:
        name = f"{self._namespace}:{key}"
        for server in self._servers:
            item = server.get(name)
            if item is None:
                continue
            line, _, value = item.partition(b"\n")
            if damage == "cut":
                server.set(name, item[:-1])
            elif damage == "changed":
                server.set(name, line + b"\n" + bytes([value[0] ^ 1]) + value[1:])
            elif damage == "foreign":
                server.set(name, b"2" + line[1:] + b" more\n" + value)
            else:
                server.set(name, b"\xac\xed\x00\x05t\x00\x05Chair")

    async def close(self) -> None:
        for store in self._stores:
            await store.close()


@asynccontextmanager
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[Part]:
    servers: tuple[MemcachedServer, MemcachedServer] = request.getfixturevalue("memcached_servers")
    for server in servers:
        server.start()
    part = MemcachedPart(*servers)
    try:
        yield part
    finally:
        await part.close()
