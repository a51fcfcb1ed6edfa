"""What every process hears: it reads all partitions by itself, from their end on, and commits nothing."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from hansa.kernel.event import Envelope
from hansa.platform.messaging.cloudevents import Unreadable, read_one
from hansa.platform.messaging.groups import LARGEST_MESSAGE
from hansa.platform.messaging.kafka.records import CONSUMER, TYPE, headers_of, read, text
from hansa.platform.messaging.kafka.servers import Servers, Timing, ended
from hansa.platform.messaging.kafka.topics import Topics
from hansa.platform.messaging.port import Listener

BATCH = 500
LOOK_EVERY_S = 1.0

log = structlog.get_logger()


class Listening:
    """See the module. After an outage it goes on where it was, so nothing is missed, unless the broker has it no
    more."""

    def __init__(
        self, *, listeners: Mapping[str, Sequence[Listener]], topics: Topics, servers: Servers, timing: Timing
    ) -> None:
        self._listeners = listeners
        self._topics = topics
        self._servers = servers
        self._timing = timing
        self._consumer: Any = None

    @property
    def sources(self) -> list[str]:
        return sorted({self._topics.of(type_) for type_ in self._listeners})

    async def begin(self) -> None:
        """From here on nothing is missed without `missed` being said."""
        await self._topics.ensure(self.sources)
        consumer = AIOKafkaConsumer(**self._servers.options(self._timing), group_id=None, auto_offset_reset="none")
        consumer.subscribe(self.sources)
        try:
            async with asyncio.timeout(2 * self._timing.request_s):
                await consumer.start()
                await consumer.seek_to_end()
        except BaseException:
            await ended(consumer)
            raise
        self._consumer = consumer

    async def run(self) -> None:
        """Returns never, and raises when the connection is not to be mended; may be called again."""
        if self._consumer is None:
            await self.begin()
            self._missed()
        try:
            while True:
                await self._turn(self._consumer)
        finally:
            await self.close()

    async def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await ended(consumer)

    async def _turn(self, consumer: Any) -> None:
        if consumer._fetcher.error_future.done():
            raise KafkaError("nothing is fetched any more")  # it would tell nobody
        if not consumer.assignment():
            raise KafkaError("the topics are gone")  # when they are there again it would take minutes to notice
        try:
            found = await consumer.getmany(timeout_ms=int(LOOK_EVERY_S * 1000), max_records=BATCH)
        except (OffsetOutOfRangeError, NoOffsetForPartitionError) as error:
            log.warning("events may have passed unheard", error=type(error).__name__)
            async with asyncio.timeout(2 * self._timing.request_s):
                await consumer.seek_to_end()
            self._missed()
            return
        for records in found.values():
            self._tell(records)

    def _tell(self, records: Sequence[Any]) -> None:
        by_type: dict[str, list[Envelope]] = {}
        for record in records:
            headers = headers_of(record)
            type_ = text(headers.get(TYPE))
            if type_ not in self._listeners or CONSUMER in headers:
                continue
            try:
                if len(record.value or b"") > LARGEST_MESSAGE:
                    raise Unreadable("too large")
                entry = read(record, headers)
                by_type.setdefault(type_, []).append(read_one(entry.attributes, entry.body))
            except Unreadable:
                self._missed(type_)
        for type_, envelopes in by_type.items():
            for listener in self._listeners[type_]:
                listener.hear(envelopes)

    def _missed(self, type_: str | None = None) -> None:
        lists = self._listeners.values() if type_ is None else [self._listeners[type_]]
        for listener in {id(each): each for some in lists for each in some}.values():
            listener.missed()
