"""Writes records and waits until every replica that must have them has them.

One producer serves the whole process. It is idempotent: it repeats what was not confirmed, and the broker drops what it
has already. Since it goes on to do so for ever, one whose records are not confirmed in time is given up, with what it
still had; the next publication makes a new one. So is one that failed, because the numbers of its records have a gap.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from hansa.platform.messaging.kafka.records import Outgoing
from hansa.platform.messaging.kafka.servers import Servers, Timing, cut_off, ended
from hansa.platform.messaging.kafka.topics import LARGEST_WITH_NOTES, Topics

LARGEST_BATCH = 256 * 1024
"""Bytes of what is sent together to one partition; a larger record goes alone."""
KEYS = 8192
"""More than there are slots."""


@dataclass
class _Sender:
    """A producer and how many publications use it."""

    producer: Any
    users: int = 0
    is_given_up: bool = False


class Publishing:
    """See the module."""

    def __init__(self, *, servers: Servers, timing: Timing, topics: Topics) -> None:
        self._servers = servers
        self._timing = timing
        self._topics = topics
        self._sender: _Sender | None = None
        self._starting = asyncio.Lock()
        self._endings: set[asyncio.Task[None]] = set()
        self._hashes: dict[bytes, int] = {}

    async def send(self, records: Sequence[Outgoing]) -> tuple[list[int], str]:
        """Answers the indices of those that are not certain to be safe, and why. Raises KafkaError and the like if
        none was sent."""
        left = set(range(len(records)))
        reason = f"no confirmation within {self._timing.publish_s:g} s"
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timing.publish_s):
                await self._topics.ensure({record.topic for record in records})
                sender = await self._started()
                sender.users += 1
                try:
                    reason = await self._sent(sender.producer, records, left)
                finally:
                    sender.users -= 1
                    if left:
                        self._give_up(sender)
                        self._topics.forget()
                    if sender.is_given_up and not sender.users:
                        self._end(cut_off(sender.producer))
        return sorted(left), reason

    async def close(self) -> None:
        """Publications must have ended."""
        if self._sender is not None:
            sender, self._sender = self._sender, None
            await (cut_off(sender.producer) if sender.users else ended(sender.producer))
        if self._endings:
            await asyncio.wait(self._endings)

    async def _sent(self, producer: Any, records: Sequence[Outgoing], left: set[int]) -> str:
        """Takes out of `left` what is confirmed; answers why something is not."""
        under_way: dict[asyncio.Future[Any], list[int]] = {}
        reason = ""
        try:
            try:
                await self._begin(producer, records, under_way)
            except KafkaError as error:
                reason = _said(error)
            if under_way:
                await asyncio.wait(under_way)
        finally:
            for future, indices in under_way.items():
                if not future.done():
                    future.cancel()
                elif (failure := future.exception()) is None:
                    left.difference_update(indices)
                else:
                    reason = _said(failure)
        return reason

    async def _begin(
        self, producer: Any, records: Sequence[Outgoing], under_way: dict[asyncio.Future[Any], list[int]]
    ) -> None:
        """In batches that are full when they are made, one partition after the other: the producer's own way of
        gathering costs twice as much for each record."""
        for (topic, partition), indices in (await self._dealt(producer, records)).items():
            batch, inside = producer.create_batch(), list[int]()
            for index in indices:
                record = records[index]
                content = {"key": record.key, "value": record.value, "headers": record.headers}
                if batch.append(timestamp=None, **content) is None:
                    under_way[await producer.send_batch(batch, topic, partition=partition)] = inside
                    batch, inside = producer.create_batch(), []
                    batch.append(timestamp=None, **content)
                inside.append(index)
            batch.close()
            under_way[await producer.send_batch(batch, topic, partition=partition)] = inside

    async def _dealt(self, producer: Any, records: Sequence[Outgoing]) -> dict[tuple[str, int], list[int]]:
        """By partitions, which the keys decide as they do for every other Kafka client."""
        sizes = {topic: len(await producer.partitions_for(topic)) for topic in {record.topic for record in records}}
        dealt: dict[tuple[str, int], list[int]] = {}
        for index, record in enumerate(records):
            place = (record.topic, self._hash(record.key) % sizes[record.topic])
            dealt.setdefault(place, []).append(index)
        return dealt

    def _hash(self, key: bytes) -> int:
        found = self._hashes.get(key)
        if found is None:
            found = murmur2(key) & 0x7FFFFFFF
            if len(self._hashes) < KEYS:
                self._hashes[key] = found
        return found

    async def _started(self) -> _Sender:
        async with self._starting:
            if self._sender is None:
                producer = AIOKafkaProducer(
                    **self._servers.options(self._timing),
                    acks="all",
                    enable_idempotence=True,
                    max_batch_size=LARGEST_BATCH,
                    max_request_size=LARGEST_WITH_NOTES,
                )
                try:
                    await producer.start()
                except BaseException:
                    await cut_off(producer)
                    raise
                self._sender = _Sender(producer)
            return self._sender

    def _give_up(self, sender: _Sender) -> None:
        sender.is_given_up = True
        if self._sender is sender:
            self._sender = None

    def _end(self, ending: Any) -> None:
        task = asyncio.create_task(ending)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
