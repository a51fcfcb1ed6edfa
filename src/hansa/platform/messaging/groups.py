"""Where one group of processes reads for a whole service: which of its consumers an event goes to, and what is left.

Kafka and Redis Streams give each service one place in a log, not one queue a consumer; what the consumers of the
service make of an event is gathered here before the place is moved on.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from hansa.kernel.clock import Clock
from hansa.kernel.event import Envelope
from hansa.platform.messaging.cloudevents import Unreadable, read_one, stand_in
from hansa.platform.messaging.digesting import Delivery, Patience, digest, park
from hansa.platform.messaging.port import Subscriber, service_of

LARGEST_MESSAGE = 2 * 1024 * 1024
"""Bytes of a body that is read at all."""
MOST_RETURNS = 1000
"""How often what is put off for a consumer that nobody has is put off again: a week, by the longest delay."""

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What came: attributes of CloudEvents without a prefix, the body, and for whom it is if not for all who hear its
    type; `deliveries` is how often it has been handed out."""

    attributes: Mapping[str, str]
    body: bytes
    consumer: str = ""
    attempts: int = 0
    put_off: int = 0
    deliveries: int = 1


@dataclass(frozen=True, kw_only=True)
class PutOff:
    """What a consumer must be offered again, later."""

    consumer: str
    delivery: Delivery


class Group:
    """The consumers of one service, in this process."""

    def __init__(self, service: str, *, patience: Patience, clock: Clock, most_deliveries: int) -> None:
        self.service = service
        self._patience = patience
        self._clock = clock
        self._most_deliveries = most_deliveries
        self._subscribers: dict[str, Subscriber] = {}
        self._by_type: dict[str, list[str]] = {}

    def add(self, *, consumer: str, type: str, subscriber: Subscriber) -> None:
        self._subscribers[consumer] = subscriber
        self._by_type.setdefault(type, []).append(consumer)

    @property
    def sources(self) -> list[str]:
        """The services whose events are heard."""
        return sorted({service_of(type_) for type_ in self._by_type})

    def concerns(self, attributes: Mapping[str, str], consumer: str = "") -> bool:
        """Whether anybody here wants it, as far as can be told without its body."""
        return consumer in self._subscribers if consumer else attributes.get("type", "") in self._by_type

    async def digest(self, entries: Iterable[Entry]) -> list[PutOff]:
        """Give entries to the consumers that they are for, side by side; answers what must be offered again. All else
        is done or parked."""
        batches: dict[str, list[Delivery]] = {}
        left: list[PutOff] = []
        for entry in entries:
            if entry.consumer and entry.consumer not in self._subscribers:
                left += self._kept_for_another(entry)
            for consumer in self._consumers_of(entry):
                readable = await self._read(entry, consumer, left)
                if readable is not None:
                    batches.setdefault(consumer, []).append(readable)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(self._digest(consumer, batch)) for consumer, batch in batches.items()]
        return [*left, *(each for task in running for each in task.result())]

    async def _digest(self, consumer: str, batch: Sequence[Delivery]) -> list[PutOff]:
        subscriber = self._subscribers[consumer]
        later = await digest(consumer, subscriber, batch, patience=self._patience, clock=self._clock)
        return [PutOff(consumer=consumer, delivery=delivery) for delivery in later]

    async def _read(self, entry: Entry, consumer: str, left: list[PutOff]) -> Delivery | None:
        """None if it cannot be digested: then it is parked, or `left` if not even that was possible."""
        error = ""
        try:
            if len(entry.body) > LARGEST_MESSAGE:
                raise Unreadable(f"{len(entry.body)} bytes are more than {LARGEST_MESSAGE}")
            envelope = read_one(entry.attributes, entry.body)
        except Unreadable as unreadable:
            envelope = self._stand_in(entry)
            error = f"Unreadable: {unreadable}"
        if entry.deliveries > self._most_deliveries:
            error = error or f"Undelivered: it was handed out {entry.deliveries} times, and never done with"
        delivery = Delivery(envelope=envelope, attempts=entry.attempts, put_off=entry.put_off)
        if not error:
            return delivery
        if (kept := await park(consumer, self._subscribers[consumer], delivery, error=error)) is not None:
            left.append(PutOff(consumer=consumer, delivery=kept))
        return None

    def _kept_for_another(self, entry: Entry) -> list[PutOff]:
        """A process of another version has put it off for a consumer that this one does not have."""
        if entry.put_off >= MOST_RETURNS:
            log.error("nobody has this consumer any more", consumer=entry.consumer, type=entry.attributes.get("type"))
            return []
        try:
            envelope = read_one(entry.attributes, entry.body)
        except Unreadable:
            envelope = self._stand_in(entry)
        delivery = Delivery(envelope=envelope, attempts=entry.attempts, put_off=entry.put_off + 1)
        return [PutOff(consumer=entry.consumer, delivery=delivery)]

    def _stand_in(self, entry: Entry) -> Envelope:
        return stand_in(
            entry.body,
            type_=entry.attributes.get("type", "unknown"),
            source=entry.attributes.get("source", "unknown"),
            at=self._clock.now(),
        )

    def _consumers_of(self, entry: Entry) -> Sequence[str]:
        if not entry.consumer:
            return self._by_type.get(entry.attributes.get("type", ""), ())
        return (entry.consumer,) if entry.consumer in self._subscribers else ()
