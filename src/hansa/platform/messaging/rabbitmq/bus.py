"""The bus on RabbitMQ; see `topology` for what it makes there."""

import asyncio
import random
from collections.abc import Sequence

import structlog

from hansa.kernel.clock import Clock
from hansa.kernel.event import Envelope
from hansa.platform.messaging.digesting import Patience
from hansa.platform.messaging.names import routing_key_of
from hansa.platform.messaging.port import BusUnusable, Listener, NotPublished, Subscriber
from hansa.platform.messaging.rabbitmq.address import address_of
from hansa.platform.messaging.rabbitmq.connecting import Line, Unreachable, connect, hush, trouble
from hansa.platform.messaging.rabbitmq.consuming import Intake
from hansa.platform.messaging.rabbitmq.hearing import Hearing
from hansa.platform.messaging.rabbitmq.messages import Outgoing, message_of, packed
from hansa.platform.messaging.rabbitmq.publishing import SETUP_S, Publisher
from hansa.platform.messaging.rabbitmq.taking import Delays, Undertaker, Work
from hansa.platform.messaging.rabbitmq.topology import Topology

SHORTEST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 10.0
"""Between two attempts to connect."""
JITTER = 0.25
LAST_BATCH_S = 2.0
"""How long the batches that are under way are waited for, when the bus is closed."""

log = structlog.get_logger()


class RabbitBus:
    """See the port. Raises ValueError for an address that is none; it may name a `namespace` too, which wins."""

    has_broker = True

    def __init__(
        self, *, url: str, clock: Clock, chance: random.Random, patience: Patience | None = None, namespace: str = ""
    ) -> None:
        hush()
        self._address = address_of(url, namespace=namespace)
        self._clock = clock
        self._chance = chance
        self._patience = patience or Patience()
        self.topology = Topology(address=self._address, delays_s=self._patience.delays_s)
        self._publisher = Publisher(address=self._address, topology=self.topology)
        self._delays = Delays(topology=self.topology, patience=self._patience, chance=chance)
        self._hearing = Hearing(topology=self.topology)
        self._works: dict[str, Work] = {}
        self._intakes: dict[str, Intake] = {}
        self._line: Line | None = None
        self._batches: list[asyncio.Task[None]] = []
        self._connection: asyncio.Task[None] | None = None
        self._said = ""
        """What was logged last about a connection that does not come about: it is said once."""

    def subscribe(self, *, consumer: str, type: str, subscriber: Subscriber) -> None:
        if consumer in self._works:
            raise ValueError(f"{consumer} has subscribed already")
        self.topology.add(consumer=consumer, type_=type)
        queue, dead = self.topology.queue_of(consumer), self.topology.dead_queue_of(consumer)
        work = self._works[consumer] = Work(
            consumer=consumer,
            type_=type,
            subscriber=subscriber,
            queue=queue,
            delays=self._delays,
            patience=self._patience,
            clock=self._clock,
        )
        undertaker = Undertaker(queue=dead, works=self._works, topology=self.topology, delays=self._delays)
        for name, take in ((queue, work.take), (dead, undertaker.take)):
            if name not in self._intakes:
                self._intakes[name] = Intake(queue=name, take=take, publisher=self._publisher, clock=self._clock)

    def listen(self, *, type: str, listener: Listener) -> None:
        self._hearing.add(type_=type, listener=listener)

    async def start(self) -> None:
        try:
            self._line = await self._connect()
        except Unreachable as error:
            self._say(str(error))
        self._batches = [
            asyncio.create_task(intake.run(), name=f"rabbitmq-{name}") for name, intake in self._intakes.items()
        ]
        self._connection = asyncio.create_task(self._stay_connected(), name="rabbitmq-connection")

    async def publish(self, batch: Sequence[Envelope]) -> None:
        if not batch:
            return
        failed = await self._publisher.publish([self._outgoing(events) for events in packed(batch)])
        if failed:
            events = [event for each in failed for event in each.outgoing.events]
            raise NotPublished(events, failed[0].reason)

    async def close(self) -> None:
        """Batches that are under way are given a little time; those that need more are dropped, and come again."""
        if self._connection is not None:
            self._connection.cancel()
        for intake in self._intakes.values():
            intake.end()
        if self._batches:
            await asyncio.wait(self._batches, timeout=LAST_BATCH_S)
        for task in self._batches:
            task.cancel()
        await asyncio.gather(*self._batches, *filter(None, [self._connection]), return_exceptions=True)
        if self._line is not None:
            await self._line.close()
        await self._publisher.close()

    async def _stay_connected(self) -> None:
        while True:
            if self._line is not None:
                await self._line.lost.wait()
                log.warning("connection to RabbitMQ lost", broker=self._address.shown, reason=self._line.reason)
                await self._line.close()
                self._line = None
            self._line = await self._connected_again()
            self._hearing.missed()

    async def _connected_again(self) -> Line:
        pause_s = SHORTEST_PAUSE_S
        while True:
            await self._clock.sleep(pause_s * (1 - JITTER * self._chance.random()))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            try:
                line = await self._connect()
            except (Unreachable, BusUnusable) as error:
                self._say(str(error))
            except Exception:
                log.exception("connection to RabbitMQ failed", broker=self._address.shown)
            else:
                self._said = ""
                log.info("connected to RabbitMQ", broker=self._address.shown)
                return line

    async def _connect(self) -> Line:
        """With everything declared, and everybody hearing. Raises Unreachable and BusUnusable."""
        line = await connect(self._address, purpose="consumers")
        try:
            with trouble():
                async with asyncio.timeout(SETUP_S):
                    await self.topology.declare(line)
                    await self._hearing.begin(line)
                    for intake in self._intakes.values():
                        await intake.begin(line)
        except BaseException:
            await line.close()
            raise
        return line

    def _say(self, reason: str) -> None:
        if reason != self._said:
            self._said = reason
            log.warning("no connection to RabbitMQ, trying again", broker=self._address.shown, reason=reason)

    def _outgoing(self, events: Sequence[Envelope]) -> Outgoing:
        """What nobody is known to consume may go nowhere."""
        type_ = events[0].type
        return Outgoing(
            exchange=self.topology.exchange_of(type_),
            routing_key=routing_key_of(type_),
            message=message_of(events),
            events=tuple(events),
            is_mandatory=self.topology.is_heard(type_),
        )
