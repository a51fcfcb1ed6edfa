"""What is done about the messages of a queue: a consumer digests its own, and parks those that killed their takers."""

import random
from collections.abc import Mapping, Sequence
from itertools import chain

import structlog

from hansa.kernel.clock import Clock
from hansa.platform.messaging import cloudevents
from hansa.platform.messaging.digesting import Delivery, Patience, digest, park
from hansa.platform.messaging.port import Subscriber, service_of
from hansa.platform.messaging.rabbitmq.consuming import BATCH
from hansa.platform.messaging.rabbitmq.messages import (
    CONSUMER,
    DIED_FIRST_IN,
    Incoming,
    Outgoing,
    delayed,
    delayed_as_it_is,
)
from hansa.platform.messaging.rabbitmq.topology import DELIVERY_LIMIT, Topology

log = structlog.get_logger()


class Delays:
    """Where something goes that is to come back later, and when."""

    def __init__(self, *, topology: Topology, patience: Patience, chance: random.Random) -> None:
        self._topology = topology
        self._patience = patience
        self._chance = chance

    def put_off(self, delivery: Delivery, *, to: str, consumer: str = "") -> Outgoing:
        """`to` is the queue that it comes back to."""
        index = self._patience.delay_of(delivery)
        message = delayed(delivery, consumer=consumer, expiration_s=self._expiration_s(index))
        return Outgoing(
            exchange=self._topology.delay(index), routing_key=to, message=message, events=(delivery.envelope,)
        )

    def put_off_as_it_is(self, incoming: Incoming, *, to: str, consumer: str = "") -> Outgoing:
        index = min(incoming.put_off, len(self._patience.delays_s) - 1)
        message = delayed_as_it_is(incoming, consumer=consumer, expiration_s=self._expiration_s(index))
        return Outgoing(exchange=self._topology.delay(index), routing_key=to, message=message)

    def _expiration_s(self, index: int) -> float:
        """Shorter by chance than what the queue allows. It may wait behind others that came before it and stay longer,
        but never longer than the delay itself."""
        return self._patience.delays_s[index] * (1 - self._patience.jitter * self._chance.random())


class Work:
    """One consumer."""

    def __init__(
        self,
        *,
        consumer: str,
        type_: str,
        subscriber: Subscriber,
        queue: str,
        delays: Delays,
        patience: Patience,
        clock: Clock,
    ) -> None:
        self._consumer = consumer
        self._type = type_
        self._subscriber = subscriber
        self._queue = queue
        self._delays = delays
        self._patience = patience
        self._clock = clock

    async def take(self, batch: Sequence[Incoming]) -> list[Outgoing]:
        """Digest what can be read, park what cannot; answers what is put off."""
        outgoing: list[Outgoing] = []
        deliveries = list(chain.from_iterable(incoming.deliveries for incoming in batch))
        for start in range(0, len(deliveries), BATCH):  # a message of somebody else's may hold any number
            part = deliveries[start : start + BATCH]
            again = await digest(self._consumer, self._subscriber, part, patience=self._patience, clock=self._clock)
            outgoing += [self._delays.put_off(delivery, to=self._queue, consumer=self._consumer) for delivery in again]
        for incoming in batch:
            if incoming.unreadable:
                outgoing += await self._park_unreadable(incoming)
        return outgoing

    async def bury(self, incoming: Incoming, *, queue: str) -> list[Outgoing]:
        """Park what was delivered too often without an answer; `queue` is where it lies now."""
        outgoing: list[Outgoing] = []
        for delivery in incoming.deliveries:
            counted = Delivery(envelope=delivery.envelope, attempts=delivery.attempts + DELIVERY_LIMIT)
            error = f"Undelivered: {DELIVERY_LIMIT} deliveries ended without an answer"
            if await park(self._consumer, self._subscriber, counted, error=error) is not None:
                later = Delivery(envelope=delivery.envelope, attempts=delivery.attempts, put_off=incoming.put_off + 1)
                outgoing.append(self._delays.put_off(later, to=queue, consumer=self._consumer))
        if incoming.unreadable:
            outgoing += await self._park_unreadable(incoming, queue=queue)
        return outgoing

    async def _park_unreadable(self, incoming: Incoming, *, queue: str = "") -> list[Outgoing]:
        envelope = cloudevents.stand_in(
            incoming.message.body, type_=self._type, source=service_of(self._type), at=self._clock.now()
        )
        delivery = Delivery(envelope=envelope, attempts=1)
        error = f"Unreadable: {incoming.unreadable}"
        if await park(self._consumer, self._subscriber, delivery, error=error) is None:
            return []
        return [self._delays.put_off_as_it_is(incoming, to=queue or self._queue, consumer=self._consumer)]


class Undertaker:
    """The queue of a service's dead letters, for those of its consumers that this process has."""

    def __init__(self, *, queue: str, works: Mapping[str, Work], topology: Topology, delays: Delays) -> None:
        self._queue = queue
        self._works = works
        self._topology = topology
        self._delays = delays

    async def take(self, batch: Sequence[Incoming]) -> list[Outgoing]:
        """Park each with its consumer; what belongs to none that is here waits for a process that has it."""
        outgoing: list[Outgoing] = []
        for incoming in batch:
            consumer = self._consumer_of(incoming)
            work = self._works.get(consumer)
            if work is not None:
                outgoing += await work.bury(incoming, queue=self._queue)
            else:
                log.warning("dead letter of a consumer that is not here", queue=self._queue, consumer=consumer)
                outgoing.append(self._delays.put_off_as_it_is(incoming, to=self._queue, consumer=consumer))
        return outgoing

    def _consumer_of(self, incoming: Incoming) -> str:
        """What was put off says it; the broker only knows where a message died first, which may be in a delay."""
        died_in = str(incoming.headers.get(DIED_FIRST_IN, ""))
        return str(incoming.headers.get(CONSUMER, "")) or self._topology.consumer_of(died_in)
