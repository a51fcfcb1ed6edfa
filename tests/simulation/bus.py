"""A message broker under the simulator: durable, and as unruly as a real one may be.

It keeps what was published once it has said so, and perhaps what it has not; it delivers to one process of each group,
again when that dies or fails, doubled and out of order; after so many attempts it has the event parked.
"""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from hansa.kernel.errors import Fault
from hansa.kernel.event import Envelope
from hansa.platform.messaging.port import Listener, Permanent, Subscriber
from tests.simulation import states

if TYPE_CHECKING:
    from tests.simulation.world import Process, World

BROKER = "broker"
LONGEST_PAUSE_S = 20.0
DELIVERY_TIMEOUT_S = 10.0
CONFIRM_TIMEOUT_S = 3.0


class Broker:
    """The broker itself, which never dies."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.consumers: dict[str, set[str]] = defaultdict(set)
        self._seen: set[str] = set()
        self.under_way = 0
        """Deliveries that are not over."""

    async def accept(self, batch: Sequence[Envelope]) -> None:
        for envelope in batch:
            self._world.states[states.PUBLISHED_TWICE] += envelope.id in self._seen
            self._seen.add(envelope.id)
            for consumer in sorted(self.consumers[envelope.type]):
                self.under_way += 1
                self._world.spawn(self._insist(consumer, envelope))

    async def _insist(self, consumer: str, envelope: Envelope) -> None:
        world, faults, chance = self._world, self._world.faults, self._world.chances["broker"]
        try:
            for attempt in itertools.count(1):
                await world.travel(is_late=faults.strikes("events out of order"), late_s=chance.uniform(0.01, 3.0))
                if faults.strikes("event doubled"):
                    await self._deliver(consumer, envelope, attempt)
                is_done = await self._deliver(consumer, envelope, attempt)
                if is_done and not faults.strikes("delivery repeated"):
                    return
                await world.clock.sleep(min(LONGEST_PAUSE_S, 0.05 * 3 ** min(attempt, 8)) * chance.uniform(0.5, 1.0))
        finally:
            self.under_way -= 1

    async def _deliver(self, consumer: str, envelope: Envelope, attempt: int) -> bool:
        """Whether the consumer has acknowledged it: the event's effect is there, or it is parked."""
        world = self._world
        processes = [
            process
            for process in world.up
            if consumer in process.subscribers and not world.network.is_cut(BROKER, process.machine)
        ]
        if not processes or world.faults.strikes("consumer cut off"):
            return False
        target = processes[int(world.chances["routing"].random() * len(processes))]
        return await world.in_process(
            target,
            lambda: _offer(world, target.subscribers[consumer], consumer, envelope, attempt),
            timeout_s=DELIVERY_TIMEOUT_S,
        )


class BrokerClient:
    """A process's connection to the broker: the bus that it is composed with."""

    has_broker = True

    def __init__(self, world: "World", process: "Process") -> None:
        self._world = world
        self._process = process

    def subscribe(self, *, consumer: str, type: str, subscriber: Subscriber) -> None:
        self._world.broker.consumers[type].add(consumer)
        self._process.subscribers[consumer] = subscriber

    def listen(self, *, type: str, listener: Listener) -> None:
        """Nobody looks at pages here."""

    async def start(self) -> None: ...

    async def publish(self, batch: Sequence[Envelope]) -> None:
        world, faults = self._world, self._world.faults
        await world.travel()
        if world.network.is_cut(self._process.machine, BROKER) or faults.strikes("publication refused"):
            await world.clock.sleep(CONFIRM_TIMEOUT_S)
            raise Fault("the broker does not answer")
        # As over a wire: what arrives is a copy.
        copies = [msgspec.json.decode(msgspec.json.encode(envelope), type=Envelope) for envelope in batch]
        await world.broker.accept(copies)
        world.note("published", self._process.name, [envelope.id for envelope in batch])
        await world.travel()
        if faults.strikes("confirm lost"):
            await world.clock.sleep(CONFIRM_TIMEOUT_S)
            raise Fault("no confirm")

    async def close(self) -> None: ...


async def _offer(world: "World", subscriber: Subscriber, consumer: str, envelope: Envelope, attempt: int) -> bool:
    try:
        await subscriber.deliver([envelope])
    except Exception as error:
        world.surprised_by(error, f"{consumer} of {envelope.type}")
        if attempt < world.plan.attempts and not isinstance(error, Permanent):
            return False
        try:
            await subscriber.park(envelope, error=f"{type(error).__name__}: {error}", attempts=attempt)
        except Exception:
            return False
    return True
