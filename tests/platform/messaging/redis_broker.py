"""One test's part of a Redis, by a namespace of its own."""

import itertools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from hansa.kernel.clock import SystemClock
from hansa.platform.messaging.digesting import Patience
from hansa.platform.messaging.port import Bus, service_of
from hansa.platform.messaging.redis_streams.bus import RedisBus
from tests.platform.messaging.brokers import QUICK
from tests.redis_server import RedisServer

_numbers = itertools.count(1)


class RedisBroker:
    """See `Broker`."""

    has_broker = True

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.namespace = f"test{next(_numbers)}"
        self.buses: list[RedisBus] = []

    def bus(self, *, patience: Patience = QUICK) -> Bus:
        bus = RedisBus(
            url=self.server.url,
            clock=SystemClock(),
            chance=random.Random(5),
            patience=patience,
            namespace=self.namespace,
            claim_idle_s=1.0,
        )
        self.buses.append(bus)
        return bus

    async def smuggle(self, *, consumer: str, type: str, body: bytes, attributes: dict[str, str]) -> None:
        client = Redis.from_url(self.server.url)
        try:
            await client.xadd(
                f"{self.namespace}:events:{service_of(type)}",
                {**attributes, "hansa-consumer": consumer, "data": body},  # type: ignore[dict-item]
            )
        finally:
            await client.aclose()


@asynccontextmanager
async def opened(server: RedisServer) -> AsyncIterator[RedisBroker]:
    server.start()
    broker = RedisBroker(server)
    try:
        yield broker
    finally:
        for bus in broker.buses:
            await bus.close()
