"""The bus over Kafka: a topic per service that says something, a consumer group per service that hears.

Records are keyed by slot, so events of one aggregate stay in order in one partition. What is put off waits in topics by
delay, which all services share; what nobody can read lies in a topic of its own.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

import structlog
from aiokafka.errors import KafkaError

from hansa.kernel.clock import Clock
from hansa.kernel.event import Envelope
from hansa.platform.messaging.digesting import Patience
from hansa.platform.messaging.groups import Group
from hansa.platform.messaging.kafka.listening import Listening
from hansa.platform.messaging.kafka.publishing import Publishing
from hansa.platform.messaging.kafka.reading import Reading
from hansa.platform.messaging.kafka.records import event_record
from hansa.platform.messaging.kafka.servers import Servers, Timing, tame
from hansa.platform.messaging.kafka.topics import Topics
from hansa.platform.messaging.port import BusUnusable, Listener, NotPublished, Subscriber, service_of

PARTITIONS = 12
"""Of a topic that is made: so many processes of one service can share what another one says."""
STEADY_S = 60.0
"""What has gone well for so long has gone well: trouble is told again, and tried again soon."""

log = structlog.get_logger()


class KafkaBus:
    """See the module. `namespace` stands before every topic and group; it may stand in the address, too."""

    has_broker = True

    def __init__(
        self,
        *,
        servers: Servers,
        clock: Clock,
        chance: random.Random,
        patience: Patience | None = None,
        namespace: str = "",
        partitions: int = PARTITIONS,
        timing: Timing | None = None,
    ) -> None:
        self._servers = servers
        self._clock = clock
        self._chance = chance
        self._patience = patience or Patience()
        self._timing = timing or Timing()
        self._topics = Topics(
            servers=servers,
            timing=self._timing,
            clock=clock,
            patience=self._patience,
            namespace=namespace or servers.namespace,
            partitions=partitions,
        )
        self._publishing = Publishing(servers=servers, timing=self._timing, topics=self._topics)
        self._groups: dict[str, Group] = {}
        self._listeners: dict[str, list[Listener]] = defaultdict(list)
        self._listening: Listening | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._is_away = False
        self._objection = ""
        tame()

    def subscribe(self, *, consumer: str, type: str, subscriber: Subscriber) -> None:
        service = service_of(consumer)
        group = self._groups.get(service)
        if group is None:
            group = Group(service, patience=self._patience, clock=self._clock, most_deliveries=1)
            self._groups[service] = group
        group.add(consumer=consumer, type=type, subscriber=subscriber)

    def listen(self, *, type: str, listener: Listener) -> None:
        self._listeners[type].append(listener)

    async def start(self) -> None:
        readings = [self._reading(group) for group in self._groups.values()]
        runs: list[Callable[[], Awaitable[None]]] = [reading.run for reading in readings]
        topics = {topic for reading in readings for topic in reading.sources}
        topics |= {*self._topics.retry, self._topics.dead}
        if self._listeners:
            self._listening = Listening(
                listeners=dict(self._listeners), topics=self._topics, servers=self._servers, timing=self._timing
            )
            runs.append(self._listening.run)
        try:
            await self._topics.ensure(topics)
            if self._listening is not None:
                await self._listening.begin()
        except (KafkaError, OSError, TimeoutError) as error:
            self._tell_away(error)
        self._tasks = [asyncio.create_task(self._insist(run)) for run in runs]

    async def publish(self, batch: Sequence[Envelope]) -> None:
        if not batch:
            return
        records = [event_record(envelope, topic=self._topics.of(envelope.type)) for envelope in batch]
        left, reason = await self._publishing.send(records)
        if left:
            raise NotPublished([batch[index] for index in left], reason)

    async def close(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listening is not None:
            await self._listening.close()
        await self._publishing.close()

    def _reading(self, group: Group) -> Reading:
        return Reading(
            group=group,
            topics=self._topics,
            servers=self._servers,
            timing=self._timing,
            publishing=self._publishing,
            patience=self._patience,
            clock=self._clock,
            chance=self._chance,
        )

    async def _insist(self, run: Callable[[], Awaitable[None]]) -> None:
        """Do it for ever: it returns with an error only."""
        pause_s = self._timing.first_pause_s
        while True:
            began = self._clock.monotonic()
            try:
                await run()
            except BusUnusable as error:
                if str(error) != self._objection:
                    self._objection = str(error)
                    log.error("Kafka cannot be used; it is tried again", error=self._objection)
            except (KafkaError, OSError, TimeoutError) as error:
                self._topics.forget()
                self._tell_away(error)
            except Exception:
                log.exception("the bus stumbled")
            if self._clock.monotonic() - began > STEADY_S:
                pause_s, self._is_away = self._timing.first_pause_s, False
            await self._clock.sleep(pause_s * self._chance.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, self._timing.longest_pause_s)

    def _tell_away(self, error: Exception) -> None:
        """Once, and not for each group."""
        if not self._is_away:
            self._is_away = True
            log.warning("Kafka does not answer; it is tried again", error=f"{type(error).__name__}: {error}")
