"""Reads for one service: takes records in batches, gives them to its consumers, and only then moves on.

The group's place is committed after the databases, so a process that dies in between leaves its last batch to another
one, whose inboxes know it. When partitions are dealt out anew in the middle of a batch, the process first finishes it;
if that takes too long, it lets go, never commits that batch, and whoever has the partitions then repeats it.
"""

import asyncio
import random
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from hansa.kernel.clock import Clock, to_micros
from hansa.platform.messaging.digesting import Patience
from hansa.platform.messaging.groups import Entry, Group, PutOff
from hansa.platform.messaging.kafka.later import Later, Offsets, Waiting
from hansa.platform.messaging.kafka.publishing import Publishing
from hansa.platform.messaging.kafka.records import (
    CONSUMER,
    DUE,
    TYPE,
    Outgoing,
    dead_record,
    headers_of,
    kept_for_another,
    number,
    read,
    retry_record,
    text,
)
from hansa.platform.messaging.kafka.servers import Servers, Timing, ended
from hansa.platform.messaging.kafka.topics import Topics
from hansa.platform.messaging.port import service_of

BATCH = 500
LOOK_EVERY_S = 1.0
"""How long a process waits for records until it looks whether all is well."""
SAVE_AGAIN_S = 1.0
JOIN_GRACE_S = 5.0
"""Beyond a handover, for the rest of what dealing out anew takes."""
LONGEST_DIGESTION_S = 24 * 3600
"""Members of the group are those processes that live: a batch that waits for its database is no reason to leave."""
MOST_RETURNS = 1000
"""How often a record for a consumer that no process knows is put off: for a week, at ten minutes each."""

log = structlog.get_logger()


class Reading:
    """See the module. `run` returns never, and raises when the connection is not to be mended."""

    def __init__(
        self,
        *,
        group: Group,
        topics: Topics,
        servers: Servers,
        timing: Timing,
        publishing: Publishing,
        patience: Patience,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        self._group = group
        self._topics = topics
        self._servers = servers
        self._timing = timing
        self._publishing = publishing
        self._patience = patience
        self._clock = clock
        self._chance = chance
        self._later = Later()
        self._term = 0
        """Counts how often partitions were dealt out: what was read in an earlier term is not committed."""
        self._is_dealing = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def sources(self) -> list[str]:
        return [self._topics.of(source) for source in self._group.sources]

    async def run(self) -> None:
        heard = [*self.sources, *self._topics.retry]
        await self._topics.ensure([*heard, self._topics.dead])
        join_s = self._timing.handover_s + JOIN_GRACE_S
        consumer = AIOKafkaConsumer(
            **self._servers.options(self._timing, request_s=join_s + JOIN_GRACE_S),
            group_id=self._topics.group_of(self._group.service),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=int(self._timing.session_s * 1000),
            heartbeat_interval_ms=int(self._timing.heartbeat_s * 1000),
            rebalance_timeout_ms=int(join_s * 1000),
            max_poll_interval_ms=LONGEST_DIGESTION_S * 1000,
        )
        consumer.subscribe(heard, listener=_Handover(self))
        try:
            await consumer.start()
            while True:
                await self._turn(consumer)
        finally:
            self._let_go()
            await ended(consumer)

    async def hand_over(self) -> None:
        """Partitions are about to be dealt out anew."""
        self._is_dealing = True
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timing.handover_s):
                await self._idle.wait()
        self._let_go()

    def take_over(self) -> None:
        self._is_dealing = False

    def _let_go(self) -> None:
        self._term += 1
        self._later.clear()

    async def _turn(self, consumer: Any) -> None:
        if consumer._fetcher.error_future.done():
            raise KafkaError("nothing is fetched any more")  # it would tell nobody
        if not self._is_dealing and (due := self._later.take(now_ms=self._now_ms(), most=BATCH)):
            await self._work(consumer, (waiting.record for waiting in due), {})
            return
        held = self._later.partitions
        free = consumer.assignment() - held if held else ()
        if held and not free:
            await self._clock.sleep(self._wait_s())
            return
        found = await consumer.getmany(*free, timeout_ms=max(int(self._wait_s() * 1000), 1), max_records=BATCH)
        if found:
            await self._take(consumer, found)

    async def _take(self, consumer: Any, found: dict[Any, Sequence[Any]]) -> None:
        fresh: list[Any] = []
        ends: Offsets = {}
        for partition, records in found.items():
            end = records[-1].offset + 1
            if (delay_s := self._topics.delays.get(partition.topic)) is not None:
                latest_ms = self._now_ms() + int(delay_s * 1000)
                waiting = [self._waiting(record, latest_ms) for record in records if self._is_own(record)]
                self._later.hold(partition, waiting, end=end)
            else:
                fresh += records
                ends[partition] = end
        await self._work(consumer, fresh, ends)

    async def _work(self, consumer: Any, records: Iterable[Any], ends: Offsets) -> None:
        """Digest, put off what must be, commit."""
        term = self._term
        self._idle.clear()
        try:
            entries: list[Entry] = []
            outgoing = [each for record in records if (each := self._sorted(record, entries)) is not None]
            if entries:
                outgoing += [self._put_off(each) for each in await self._group.digest(entries)]
            while outgoing and term == self._term:
                outgoing = await self._saved(outgoing)
            if term == self._term:
                await self._commit(consumer, self._later.offsets() | ends, term)
        finally:
            self._idle.set()

    def _sorted(self, record: Any, entries: list[Entry]) -> Outgoing | None:
        """Into the entries if anybody here is to have it; answers what is to be written elsewhere instead."""
        headers = headers_of(record)
        consumer, type_ = text(headers.get(CONSUMER)), text(headers.get(TYPE))
        if self._group.concerns({"type": type_}, consumer):
            entries.append(read(record, headers))
        elif not consumer and not type_:
            log.error("a record is neither an event nor for anybody", topic=record.topic, offset=record.offset)
            return dead_record(record, topic=self._topics.dead, reason="it has no type and names no consumer")
        elif consumer and self._is_own(record):
            entry = read(record, headers)
            if entry.put_off >= MOST_RETURNS:
                return dead_record(record, topic=self._topics.dead, reason=f"there is no consumer {consumer}")
            return kept_for_another(record, entry, topic=self._topics.retry[-1], due_ms=self._due_ms(-1))
        return None

    def _is_own(self, record: Any) -> bool:
        consumer = next((value for name, value in record.headers if name == CONSUMER), None)
        return service_of(text(consumer)) == self._group.service

    def _put_off(self, put_off: PutOff) -> Outgoing:
        index = self._patience.delay_of(put_off.delivery)
        return retry_record(put_off, topic=self._topics.retry[index], due_ms=self._due_ms(index))

    async def _saved(self, outgoing: Sequence[Outgoing]) -> list[Outgoing]:
        """Answers what is not safe yet, after a pause."""
        try:
            left, _ = await self._publishing.send(outgoing)
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("what is put off cannot be written; it is tried again", error=type(error).__name__)
            left = list(range(len(outgoing)))
        if left:
            await self._clock.sleep(SAVE_AGAIN_S)
        return [outgoing[index] for index in left]

    async def _commit(self, consumer: Any, ends: Offsets, term: int) -> None:
        """As long as the partitions are held: the library would try for ever, in whatever term that is then."""
        offsets = {partition: end for partition, end in ends.items() if partition in consumer.assignment()}
        if not offsets:
            return
        committing = asyncio.ensure_future(consumer.commit(offsets))
        try:
            while not committing.done() and term == self._term:
                await asyncio.wait([committing], timeout=LOOK_EVERY_S)
            if committing.done():
                committing.result()
        except (CommitFailedError, IllegalStateError):
            log.info("partitions went to another process before they were committed", service=self._group.service)
        finally:
            committing.cancel()

    def _waiting(self, record: Any, latest_ms: int) -> Waiting:
        """No clock of another machine makes it wait for longer than its delay."""
        return Waiting(record=record, due_ms=min(number(headers_of(record).get(DUE)), latest_ms))

    def _due_ms(self, index: int) -> int:
        share = 1 - self._patience.jitter * self._chance.random()
        return self._now_ms() + int(self._patience.delays_s[index] * 1000 * share)

    def _wait_s(self) -> float:
        due_ms = self._later.next_due_ms
        return LOOK_EVERY_S if due_ms is None else min(LOOK_EVERY_S, max(due_ms - self._now_ms(), 0) / 1000)

    def _now_ms(self) -> int:
        return to_micros(self._clock.now()) // 1000


class _Handover(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    async def on_partitions_revoked(self, revoked: object) -> None:
        await self._reading.hand_over()

    async def on_partitions_assigned(self, assigned: object) -> None:
        self._reading.take_over()
