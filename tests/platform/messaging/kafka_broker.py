"""A test's part of a real Kafka: a namespace of its own."""

import asyncio
import itertools
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from hansa.kernel.clock import SystemClock
from hansa.platform.messaging.digesting import Patience
from hansa.platform.messaging.kafka.bus import KafkaBus
from hansa.platform.messaging.kafka.servers import Servers, Timing
from hansa.platform.messaging.kafka.topics import Plan
from hansa.platform.messaging.port import service_of
from tests.kafka_server import KafkaServer
from tests.platform.messaging.brokers import QUICK
from tests.platform.messaging.kafka_timing import BRISK

PARTITIONS = 3
_numbers = itertools.count(1)


class Kafka:
    """See `brokers.Broker`."""

    has_broker = True

    def __init__(self, server: KafkaServer) -> None:
        self.server = server
        self.namespace = f"t{os.getpid()}-{next(_numbers)}"
        self._buses: list[KafkaBus] = []

    def bus(self, *, patience: Patience = QUICK, timing: Timing = BRISK, partitions: int = PARTITIONS) -> KafkaBus:
        bus = KafkaBus(
            servers=Servers(addresses=(self.server.address,)),
            clock=SystemClock(),
            chance=random.Random(len(self._buses)),
            patience=patience,
            namespace=self.namespace,
            partitions=partitions,
            timing=timing,
        )
        self._buses.append(bus)
        return bus

    def topic(self, name: str) -> str:
        return f"{self.namespace}.{name}"

    async def smuggle(self, *, consumer: str, type: str, body: bytes, attributes: dict[str, str]) -> None:
        headers = [("ce_" + name, value.encode()) for name, value in attributes.items()]
        headers.append(("hansa-consumer", consumer.encode()))
        await self.write(service_of(type), body, headers)

    async def write(self, topic: str, body: bytes, headers: list[tuple[str, bytes]]) -> None:
        """As any program may, also what is larger than the shop would have it."""
        name = self.topic(topic)
        if len(body) > 1_000_000:
            await self.change(topic, {"max.message.bytes": str(2 * len(body))})
        producer = AIOKafkaProducer(bootstrap_servers=self.server.address, max_request_size=20_000_000)
        await producer.start()
        try:
            await producer.send_and_wait(name, body, key=b"1", headers=headers)
        finally:
            await producer.stop()

    async def settings(self, topic: str) -> dict[str, str]:
        async with admin_of(self.server) as admin:
            asked = [ConfigResource(ConfigResourceType.TOPIC, self.topic(topic))]
            (answer,) = await admin.describe_configs(asked)
        return {entry[0]: entry[1] for entry in answer.resources[0][4]}

    async def change(self, topic: str, settings: dict[str, str]) -> None:
        """All other settings become what the broker has for every topic."""
        async with admin_of(self.server) as admin:
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, self.topic(topic), settings)])

    async def partition_of(self, topic: str, slot: int) -> int:
        """Where other programs put a key."""
        producer = AIOKafkaProducer(bootstrap_servers=self.server.address)
        await producer.start()
        try:
            sent = await producer.send_and_wait(
                self.topic(topic), b"", key=str(slot).encode(), headers=[("ce_type", b"nobody's")]
            )
        finally:
            await producer.stop()
        return int(sent.partition)

    def put_before_the_log(self, bus: KafkaBus) -> None:
        """Its listeners are where the log would be if the broker had not lost its end."""
        assert bus._listening is not None
        consumer = bus._listening._consumer
        for partition in consumer.assignment():
            consumer.seek(partition, 1_000_000)

    async def until_members(self, group: str, count: int) -> None:
        """Return when so many processes are in the group, or wait to be."""
        async with admin_of(self.server) as admin, asyncio.timeout(20):
            while True:
                (answer,) = await admin.describe_consumer_groups([self.topic(group)])
                if len(answer.groups[0][5]) >= count:
                    return
                await asyncio.sleep(0.05)

    async def committed(self, group: str, topic: str) -> dict[int, int]:
        """Offsets by partition."""
        async with admin_of(self.server) as admin:
            offsets = await admin.list_consumer_group_offsets(self.topic(group))
        return {
            partition.partition: offset.offset
            for partition, offset in offsets.items()
            if partition.topic == self.topic(topic)
        }

    async def empty(self, topic: str) -> None:
        """As when a cluster has lost its data, or somebody made the topic anew."""
        await self.remove(topic)
        async with admin_of(self.server) as admin:
            settings = Plan(partitions=1).settings(copies=1)
            await admin.create_topics([NewTopic(self.topic(topic), PARTITIONS, 1, topic_configs=settings)])

    async def remove(self, topic: str) -> None:
        async with admin_of(self.server) as admin, asyncio.timeout(20):
            await admin.delete_topics([self.topic(topic)])
            while self.topic(topic) in await admin.list_topics():
                await asyncio.sleep(0.05)

    async def records(self, topic: str, count: int) -> list[Any]:
        """The first of a topic, when there are so many."""
        consumer = AIOKafkaConsumer(
            self.topic(topic), bootstrap_servers=self.server.address, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            async with asyncio.timeout(20):
                return [await consumer.getone() for _ in range(count)]
        finally:
            await consumer.stop()

    async def close(self) -> None:
        for bus in self._buses:
            await bus.close()


@asynccontextmanager
async def opened(server: KafkaServer) -> AsyncIterator[Kafka]:
    server.start()  # a test before this one may have killed it
    kafka = Kafka(server)
    try:
        yield kafka
    finally:
        await kafka.close()


@asynccontextmanager
async def admin_of(server: KafkaServer) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=server.address)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()
