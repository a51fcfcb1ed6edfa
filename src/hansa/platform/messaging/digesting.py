"""What becomes of a batch that a broker has delivered: done, to be delivered again later, or parked as dead letters."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from hansa.kernel.clock import Clock
from hansa.kernel.errors import DeadlineExceeded, StorageBusy, StorageFull
from hansa.kernel.event import Envelope
from hansa.platform.messaging.port import Permanent, Subscriber

log = structlog.get_logger()

STORAGE_TROUBLE = (StorageBusy, StorageFull, DeadlineExceeded)
"""Not the event's fault: such an attempt is not counted against it."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a delivery is waited with, and how often it is tried, before the event is parked.

    `delays_s` are the delays of a broker, the last of which is repeated; `stalls_s` are pauses in which a whole batch
    waits in place for its database, so that an outage does not send everything through the delays.
    """

    delays_s: tuple[float, ...] = (1, 10, 60, 600)
    attempts: int = 8
    stalls_s: tuple[float, ...] = (0.1, 0.5, 1, 2, 4)
    troubles: int = 3
    """Troubles of the database in a row, after which the rest of a batch is put off without being tried."""
    longest_trouble: int = 100
    """Times that an event is put off, until trouble of the database counts as its own."""
    jitter: float = 0.25
    """Part of a delay by which it may be shorter, so that failures do not return in step."""

    def delay_of(self, delivery: "Delivery") -> int:
        """The index of the delay of something that is put off now."""
        return min(delivery.put_off, len(self.delays_s)) - 1


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One event of one consumer: the attempts that are counted against it, and how often it has been put off in all."""

    envelope: Envelope
    attempts: int = 0
    put_off: int = 0


async def digest(
    consumer: str, subscriber: Subscriber, batch: Sequence[Delivery], *, patience: Patience, clock: Clock
) -> list[Delivery]:
    """Deliver a batch; answers those that must be delivered again later, each with its counted attempts. All others
    have had their effect, or are parked: the batch may be acknowledged once those that are answered are safe elsewhere.
    """
    alone = batch[0] if len(batch) == 1 else None
    for stall_s in (*patience.stalls_s, 0):
        try:
            await subscriber.deliver([delivery.envelope for delivery in batch])
        except STORAGE_TROUBLE as error:
            log.warning("consumer waits for its database", consumer=consumer, error=type(error).__name__)
            await clock.sleep(stall_s)
        except Exception as error:
            if alone is not None:
                return _kept([await _judge(consumer, subscriber, alone, error, patience)])
            break  # one bad event must not hurt its neighbours: each by itself from here on
        else:
            return []
    again: list[Delivery | None] = []
    in_a_row = 0
    for delivery in batch:
        if in_a_row >= patience.troubles:
            again.append(replace(delivery, put_off=delivery.put_off + 1))
            continue
        later = await _digest_one(consumer, subscriber, delivery, patience)
        in_a_row = in_a_row + 1 if later is not None and later.attempts == delivery.attempts else 0
        again.append(later)
    return _kept(again)


async def park(consumer: str, subscriber: Subscriber, delivery: Delivery, *, error: str) -> Delivery | None:
    """Keep it as a dead letter; answers the delivery if that cannot be done now."""
    envelope = delivery.envelope
    try:
        await subscriber.park(envelope, error=error, attempts=delivery.attempts)
    except Exception:
        log.exception("event could not even be parked", consumer=consumer, event_id=envelope.id, type=envelope.type)
        return replace(delivery, put_off=max(delivery.put_off, 1))
    kind = error.partition(":")[0]
    log.error("event parked", consumer=consumer, event_id=envelope.id, type=envelope.type, error=kind)
    return None


async def _digest_one(consumer: str, subscriber: Subscriber, delivery: Delivery, patience: Patience) -> Delivery | None:
    try:
        await subscriber.deliver([delivery.envelope])
    except Exception as error:
        return await _judge(consumer, subscriber, delivery, error, patience)
    return None


async def _judge(
    consumer: str, subscriber: Subscriber, delivery: Delivery, error: Exception, patience: Patience
) -> Delivery | None:
    """What becomes of an event that failed by itself; None if it is parked."""
    later = replace(delivery, put_off=delivery.put_off + 1)
    if isinstance(error, STORAGE_TROUBLE) and later.put_off < patience.longest_trouble:
        return later
    counted = replace(later, attempts=delivery.attempts + 1)
    if isinstance(error, Permanent) or counted.attempts >= patience.attempts:
        return await park(consumer, subscriber, counted, error=f"{type(error).__name__}: {error}")
    return counted


def _kept(deliveries: Sequence[Delivery | None]) -> list[Delivery]:
    return [delivery for delivery in deliveries if delivery is not None]
