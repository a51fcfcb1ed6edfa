"""The brokers' own clients, used as their documentation shows it: durable, confirmed, acknowledged; no database.

One event a message, `batch` of them under way at once, and one acknowledgement for as many.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import msgspec

from bench.messages.world import NumberTold

QUEUE = "bare"


def _body() -> bytes:
    return msgspec.json.encode(NumberTold(number=1, committed_us=1))


async def rabbitmq(url: str, count: int, batch: int) -> None:
    import aio_pika

    body = _body()
    connection = await aio_pika.connect(url.partition("?")[0])
    async with connection:
        channel = await connection.channel(publisher_confirms=True)
        await channel.set_qos(prefetch_count=2 * batch)
        exchange = await channel.declare_exchange("bare", aio_pika.ExchangeType.TOPIC, durable=True)
        queue = await channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
        await queue.bind(exchange, "told")
        done = asyncio.Event()
        heard = 0

        async def hear(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            nonlocal heard
            heard += 1
            if heard % batch == 0 or heard == count:
                await message.ack(multiple=True)
            if heard == count:
                done.set()

        await queue.consume(hear)
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        for first in range(0, count, batch):
            await asyncio.gather(
                *(exchange.publish(message, "told", mandatory=True) for _ in range(min(batch, count - first)))
            )
        await done.wait()


async def kafka(url: str, count: int, batch: int) -> None:
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic
    from aiokafka.errors import TopicAlreadyExistsError

    servers, body = urlsplit(url).netloc, _body()
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    with suppress(TopicAlreadyExistsError):
        await admin.create_topics([NewTopic(QUEUE, num_partitions=12, replication_factor=1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True, linger_ms=5)
    consumer = AIOKafkaConsumer(
        QUEUE, bootstrap_servers=servers, group_id=QUEUE, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await producer.start()
    await consumer.start()
    try:
        heard = 0

        async def hear() -> None:
            nonlocal heard
            while heard < count:
                for records in (await consumer.getmany(timeout_ms=200, max_records=batch)).values():
                    heard += len(records)
                await consumer.commit()

        hearing = asyncio.create_task(hear())
        for first in range(0, count, batch):
            sent = [await producer.send(QUEUE, body, key=b"%d" % (first + n)) for n in range(min(batch, count - first))]
            await asyncio.gather(*sent)
        await hearing
    finally:
        await consumer.stop()
        await producer.stop()


async def redis(url: str, count: int, batch: int) -> None:
    from redis.asyncio import Redis
    from redis.exceptions import ResponseError

    body = _body()
    writer: Any = Redis.from_url(url.partition("?")[0])
    reader: Any = Redis.from_url(url.partition("?")[0])
    try:
        await writer.xgroup_create(QUEUE, QUEUE, id="0", mkstream=True)
    except ResponseError:
        await writer.xgroup_setid(QUEUE, QUEUE, id="$")
    heard = 0

    async def hear() -> None:
        nonlocal heard
        while heard < count:
            for _, entries in await reader.xreadgroup(QUEUE, QUEUE, {QUEUE: ">"}, count=batch, block=200) or ():
                heard += len(entries)
                await reader.xack(QUEUE, QUEUE, *(entry_id for entry_id, _ in entries))

    hearing = asyncio.create_task(hear())
    for first in range(0, count, batch):
        pipeline = writer.pipeline(transaction=False)
        for _ in range(min(batch, count - first)):
            pipeline.xadd(QUEUE, {"data": body})
        await pipeline.execute()
    await hearing
    await writer.aclose()
    await reader.aclose()


CLIENTS: dict[str, Callable[[str, int, int], Awaitable[None]]] = {"rabbitmq": rabbitmq, "kafka": kafka, "redis": redis}
