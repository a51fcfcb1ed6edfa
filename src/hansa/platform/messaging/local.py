"""The bus within one process: retries with backoff and jitter, then parks; can misbehave to prove consumers.

The outbox is its log: `publish` returns once every consumer has the effect committed or the event parked, so a
process that dies in between publishes again from the outbox, and the inbox makes the repetition harmless.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from hansa.kernel.clock import Clock
from hansa.kernel.event import Envelope
from hansa.platform.messaging.port import Listener, Permanent, Subscriber

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Retries:
    """How often and how patiently an event is offered again before it is parked."""

    attempts: int = 8
    first_s: float = 0.05
    factor: float = 4.0
    longest_s: float = 60.0

    def delay_s(self, attempt: int, chance: random.Random) -> float:
        """Exponential backoff with full jitter in its upper half, so that failures do not return in step."""
        ceiling = min(self.longest_s, self.first_s * self.factor ** (attempt - 1))
        return ceiling * chance.uniform(0.5, 1.0)


@dataclass(frozen=True, kw_only=True)
class Mischief:
    """Legal misbehaviour of a bus, as probabilities per batch: for tests."""

    duplicate: float = 0.0
    reorder: float = 0.0
    split: float = 0.0


NO_MISCHIEF = Mischief()


class LocalBus:
    """See the module."""

    has_broker = False

    def __init__(
        self, *, clock: Clock, chance: random.Random, retries: Retries | None = None, mischief: Mischief | None = None
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._retries = retries or Retries()
        self._mischief = mischief or NO_MISCHIEF
        self._subscribers: dict[str, list[tuple[str, Subscriber]]] = defaultdict(list)
        self._listeners: dict[str, list[Listener]] = defaultdict(list)

    def subscribe(self, *, consumer: str, type: str, subscriber: Subscriber) -> None:
        self._subscribers[type].append((consumer, subscriber))

    def listen(self, *, type: str, listener: Listener) -> None:
        self._listeners[type].append(listener)

    async def start(self) -> None:
        """Nothing is between publishing and delivering, so there is nothing to begin."""

    async def publish(self, batch: Sequence[Envelope]) -> None:
        by_type: dict[str, list[Envelope]] = defaultdict(list)
        for envelope in batch:
            by_type[envelope.type].append(envelope)
        for type_, envelopes in by_type.items():
            for listener in self._listeners[type_]:
                listener.hear(envelopes)
        deliveries = [
            self._deliver(consumer, subscriber, envelopes)
            for type_, envelopes in by_type.items()
            for consumer, subscriber in self._subscribers[type_]
        ]
        if len(deliveries) == 1:
            return await deliveries[0]
        async with asyncio.TaskGroup() as group:
            for delivery in deliveries:
                group.create_task(delivery)

    async def close(self) -> None:
        self._subscribers.clear()
        self._listeners.clear()

    async def _deliver(self, consumer: str, subscriber: Subscriber, envelopes: Sequence[Envelope]) -> None:
        for part in self._misbehave(envelopes):
            try:
                await subscriber.deliver(part)
            except Exception:
                # One bad event must not hurt its neighbours: offer each by itself from here on.
                async with asyncio.TaskGroup() as group:
                    for envelope in part:
                        group.create_task(self._insist(consumer, subscriber, envelope))

    async def _insist(self, consumer: str, subscriber: Subscriber, envelope: Envelope) -> None:
        for attempt in range(1, self._retries.attempts + 1):
            try:
                await subscriber.deliver([envelope])
            except Permanent as error:
                return await self._park(consumer, subscriber, envelope, error, attempt)
            except Exception as error:
                if attempt == self._retries.attempts:
                    return await self._park(consumer, subscriber, envelope, error, attempt)
                await self._clock.sleep(self._retries.delay_s(attempt, self._chance))
            else:
                return

    async def _park(
        self, consumer: str, subscriber: Subscriber, envelope: Envelope, error: Exception, attempts: int
    ) -> None:
        kind = type(error).__name__
        log.error("event parked", consumer=consumer, event_id=envelope.id, type=envelope.type, error=kind)
        await subscriber.park(envelope, error=f"{type(error).__name__}: {error}", attempts=attempts)

    def _misbehave(self, envelopes: Sequence[Envelope]) -> list[list[Envelope]]:
        batch = list(envelopes)
        if self._mischief == NO_MISCHIEF:
            return [batch]
        if self._chance.random() < self._mischief.duplicate:
            batch += batch
        if self._chance.random() < self._mischief.reorder:
            self._chance.shuffle(batch)
        if len(batch) > 1 and self._chance.random() < self._mischief.split:
            middle = self._chance.randrange(1, len(batch))
            return [batch[:middle], batch[middle:]]
        return [batch]
