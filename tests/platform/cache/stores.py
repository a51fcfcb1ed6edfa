"""Every store there is, for the one behaviour suite: by name, what opens one test's part of it.

A new one is a module that has a `Part` (see `redis_part`), and a line in `OPENED`.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from hansa.platform.cache.port import Listener, Store
from tests.platform.cache import memcached_part, redis_part
from tests.platform.cache.local_store import LocalStore
from tests.platform.cache.parts import Damage, Part


class LocalPart:
    """See `Part`."""

    def __init__(self) -> None:
        self._shared = LocalStore()

    async def store(self, *, listener: Listener | None = None) -> Store:
        if listener is not None:
            self._shared.listen(listener)
        return self._shared

    async def damage(self, key: str, damage: Damage) -> None:
        del self._shared.entries[key]  # what lies in the memory of a process is not damaged


@asynccontextmanager
async def local(request: pytest.FixtureRequest) -> AsyncIterator[Part]:
    yield LocalPart()


OPENED: dict[str, Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Part]]] = {
    "local": local,
    "redis": redis_part.opened("redis_server"),
    "redis-sentinel": redis_part.opened("redis_sentinels"),
    "redis-cluster": redis_part.opened("redis_cluster"),
    "memcached": memcached_part.opened,
}
