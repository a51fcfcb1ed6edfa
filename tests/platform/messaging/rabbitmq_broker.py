"""One test's part of a RabbitMQ, by a namespace of its own."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel

from hansa.kernel.clock import SystemClock
from hansa.platform.messaging.digesting import Patience
from hansa.platform.messaging.rabbitmq.bus import RabbitBus
from tests.platform.messaging.brokers import QUICK
from tests.rabbitmq_server import RabbitServer

_numbers = itertools.count(1)


class RabbitBroker:
    """See `Broker`."""

    has_broker = True

    def __init__(self, server: RabbitServer) -> None:
        self.server = server
        self.namespace = f"test{next(_numbers)}"
        self.buses: list[RabbitBus] = []

    def bus(self, *, patience: Patience = QUICK, url: str = "") -> RabbitBus:
        bus = RabbitBus(
            url=url or self.server.url,
            clock=SystemClock(),
            chance=random.Random(5),
            patience=patience,
            namespace=self.namespace,
        )
        self.buses.append(bus)
        return bus

    async def smuggle(self, *, consumer: str, type: str, body: bytes, attributes: dict[str, str]) -> None:
        headers: dict[str, Any] = {f"cloudEvents:{name}": value for name, value in attributes.items()}
        await self.send(aio_pika.Message(body, headers=headers, content_type="application/json"), consumer=consumer)

    async def send(self, *messages: aio_pika.Message, consumer: str) -> None:
        """Straight into its queue."""
        async with self.channel() as channel:
            for message in messages:
                await channel.default_exchange.publish(message, f"{self.namespace}.{consumer}")

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[AbstractChannel]:
        """A plain client's."""
        async with await aio_pika.connect(self.server.url) as connection:
            yield await connection.channel(on_return_raises=True)

    async def depth(self, name: str) -> int:
        """How many messages are ready in a queue."""
        async with self.channel() as channel:
            queue = await channel.declare_queue(f"{self.namespace}.{name}", passive=True)
            return queue.declaration_result.message_count or 0

    async def close(self) -> None:
        """With everything that the test has made there."""
        await asyncio.gather(*(bus.close() for bus in self.buses))
        self.server.start()  # the test may have killed it
        async with self.channel() as channel:
            for name in {queue.name for bus in self.buses for queue in bus.topology.queues}:
                await channel.queue_delete(name)
            for name in {name for bus in self.buses for name in bus.topology.exchanges}:
                await channel.exchange_delete(name)


@asynccontextmanager
async def opened(server: RabbitServer) -> AsyncIterator[RabbitBroker]:
    """On a server that runs: started if it does not, for a test before may have killed it."""
    server.start()
    broker = RabbitBroker(server)
    try:
        yield broker
    finally:
        await broker.close()
