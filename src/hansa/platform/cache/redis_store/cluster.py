"""Which server of a Cluster has a key: the map of its slots, learnt again whenever it may have changed."""

import asyncio
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from redis.asyncio.connection import Connection
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, TryAgainError
from redis.exceptions import ConnectionError as Lost

from hansa.kernel.clock import Clock
from hansa.platform.cache.port import CacheTrouble
from hansa.platform.cache.redis_store.address import Address
from hansa.platform.cache.redis_store.pool import MOST_CONNECTIONS, Pool
from hansa.platform.cache.redis_store.servers import opened
from hansa.platform.cache.redis_store.wire import OPEN_WITHIN_S, TROUBLE, pack

PAUSE_S = 0.1
"""Between two looks at the map."""

Node = tuple[str, int]


class Cluster:
    """See `Servers`."""

    def __init__(self, address: Address, *, clock: Clock, most_connections: int = MOST_CONNECTIONS) -> None:
        self._address = address
        self._clock = clock
        self._most_connections = most_connections
        self._pools: dict[Node, Pool] = {}
        self._slots: list[Pool | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self._learning: asyncio.Task[None] | None = None
        self._looked_at_s = -math.inf
        self._turn = -1

    def slot(self, name: bytes) -> int:
        return key_slot(name)

    async def ask(self, slot: int, command: bytes) -> Any:
        pool = self._slots[slot]
        if pool is None:
            await self._learn()
            if (pool := self._slots[slot]) is None:
                raise CacheTrouble("nobody has the slot")
        try:
            return await pool.ask(command)
        except MovedError as moved:  # the question was not answered, so this is not a repetition
            self._slots[slot] = pool = self._pool((moved.host, moved.port)) if moved.host else None
            self._begin_learning()
            if pool is None:
                raise
            return await pool.ask(command)
        except AskError as elsewhere:
            return await self._pool((elsewhere.host, elsewhere.port)).ask(pack(b"ASKING"), command)
        except (Lost, OSError, ClusterDownError, TryAgainError, CacheTrouble):
            self._begin_learning()
            raise

    async def pools(self) -> Sequence[Pool]:
        await self._learn()
        return list(dict.fromkeys(pool for pool in self._slots if pool is not None))

    async def connect(self) -> Connection:
        await self._learn()
        trouble: BaseException = Lost("no master is known")
        nodes = list(self._pools)
        self._turn += 1  # whoever does not answer is not asked first again
        for at in range(len(nodes)):
            fresh = None
            try:
                async with asyncio.timeout(OPEN_WITHIN_S):
                    fresh = await opened(self._address, nodes[(self._turn + at) % len(nodes)])
                    await self.confirm(fresh)
                return fresh
            except (*TROUBLE, CacheTrouble) as error:
                trouble = error
                if fresh is not None:
                    await fresh.disconnect(nowait=True)
        raise trouble

    async def confirm(self, connection: Connection) -> None:
        """What is published at any node is heard at all of them, as long as this one is connected with every other that
        has slots, and thinks that the Cluster is whole."""
        node = (connection.host, connection.port)
        self._begin_learning()
        state = await self._pool(node).ask(pack(b"CLUSTER", b"INFO"))
        nodes = await self._pool(node).ask(pack(b"CLUSTER", b"NODES"))
        if b"cluster_state:ok" not in state or not all(map(_is_in_touch, nodes.splitlines())):
            raise Lost("the Cluster is not whole")

    async def suspect(self) -> None:
        for pool in list(self._pools.values()):
            await pool.forget()
        self._begin_learning()

    async def close(self) -> None:
        if self._learning is not None:
            self._learning.cancel()
            await asyncio.gather(self._learning, return_exceptions=True)
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.close()

    def _pool(self, node: Node) -> Pool:
        if node not in self._pools:
            self._pools[node] = Pool(open=partial(opened, self._address, node), most=self._most_connections)
        return self._pools[node]

    async def _learn(self) -> None:
        """Wait for the map, unless it is known; whoever gives up does not end the look for others."""
        if any(pool is not None for pool in self._slots[:: REDIS_CLUSTER_HASH_SLOTS // 64]):
            return
        await asyncio.shield(self._begin_learning())

    def _begin_learning(self) -> asyncio.Task[None]:
        if self._learning is None or self._learning.done():
            self._learning = asyncio.create_task(self._look())
        return self._learning

    async def _look(self) -> None:
        """Ask those that are known, then those of the address, until one tells the map."""
        await self._clock.sleep(max(self._looked_at_s + PAUSE_S - self._clock.monotonic(), 0.0))
        for node in dict.fromkeys((*self._pools, *self._address.nodes)):
            try:
                async with asyncio.timeout(OPEN_WITHIN_S):
                    ranges = await self._pool(node).ask(pack(b"CLUSTER", b"SLOTS"))
                await self._use(ranges, node)
            except (*TROUBLE, CacheTrouble, ValueError, IndexError, TypeError):
                continue
            break
        self._looked_at_s = self._clock.monotonic()

    async def _use(self, ranges: Any, teller: Node) -> None:
        slots: list[Pool | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        for first, last, (host, port, *_), *_ in ranges:
            pool = self._pool((host.decode() if host else teller[0], int(port)))
            slots[first : last + 1] = [pool] * (last + 1 - first)
        if not ranges or len(slots) != REDIS_CLUSTER_HASH_SLOTS:
            raise ValueError("a map of no slots")
        self._slots = slots
        in_use = {pool for pool in slots if pool is not None}
        for node, pool in list(self._pools.items()):
            if pool not in in_use:
                del self._pools[node]
                await pool.close()


def _is_in_touch(line: bytes) -> bool:
    """Of what `CLUSTER NODES` says: id, address, flags, master, ping, pong, epoch, state of the link, and slots."""
    fields = line.split(b" ")
    if len(fields) <= 8:
        return True  # it has no slots, so nothing is dropped there
    flags = fields[2].split(b",")
    return b"myself" in flags or (fields[7] == b"connected" and b"fail" not in flags and b"fail?" not in flags)
