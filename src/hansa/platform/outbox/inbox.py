"""The receiving end: an event's effect and the note that it happened commit together, so that it happens once."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from hansa.kernel.clock import Clock, to_micros
from hansa.kernel.event import Envelope
from hansa.platform.database.platform_tables import (
    CLAIM_EVENTS,
    FORGET_COMMANDS,
    FORGET_HANDLED,
    FORGET_PUBLISHED,
    PARK,
)
from hansa.platform.database.port import Database, Transaction
from hansa.platform.messaging.port import Consumer, decode_event

REMEMBERED = timedelta(days=30)
"""How long handled events and idempotency keys are remembered; no delivery and no retry is that late."""
LONGEST_ERROR = 2000
"""Characters kept of what a consumer said when it failed."""


async def _nothing_along(tx: Transaction) -> None: ...


class Inbox:
    """Delivers batches to one consumer of one service."""

    def __init__(self, *, database: Database, consumer: Consumer[Any], clock: Clock) -> None:
        self._database = database
        self._consumer = consumer
        self._clock = clock

    @property
    def consumer(self) -> Consumer[Any]:
        return self._consumer

    async def deliver(self, batch: Sequence[Envelope]) -> None:
        await self._take(batch, _nothing_along)

    async def replay(self, envelope: Envelope, *, along: Callable[[Transaction], Awaitable[None]]) -> None:
        """Deliver an event that was parked; `along` commits with its effect, also where that was there already."""
        await self._take([envelope], along)

    async def _take(self, batch: Sequence[Envelope], along: Callable[[Transaction], Awaitable[None]]) -> None:
        received = {int(envelope.id): decode_event(envelope, self._consumer.hears) for envelope in batch}
        if (concerns := self._consumer.concerns) is not None:
            received = {event_id: each for event_id, each in received.items() if concerns(each.event)}
        if not received and along is _nothing_along:
            return
        rows = sorted((each.envelope.slot, event_id) for event_id, each in received.items())
        async with self._database.write(*{slot for slot, _ in rows}) as tx:
            claimed = await tx.all(
                CLAIM_EVENTS, rows=rows, consumer=self._consumer.name, now=to_micros(self._clock.now())
            )
            fresh = {row[0] for row in claimed}
            if fresh:
                await self._consumer.handle(tx, [received[event_id] for _, event_id in rows if event_id in fresh])
            await along(tx)
        if fresh and self._consumer.afterwards is not None:
            await self._consumer.afterwards()

    async def park(self, envelope: Envelope, *, error: str, attempts: int) -> None:
        async with self._database.write(envelope.slot) as tx:
            letter = (
                *(envelope.slot, int(envelope.id), self._consumer.name, msgspec.json.encode(envelope).decode()),
                *(error[:LONGEST_ERROR], attempts, to_micros(self._clock.now())),
            )
            await tx.run(PARK, letter=[letter])


async def forget(database: Database, clock: Clock) -> None:
    """Drop notes that are older than any delivery or retry can be."""
    before = to_micros(clock.now() - REMEMBERED)
    async with database.write() as tx:
        await tx.run(FORGET_PUBLISHED, before=before)
        await tx.run(FORGET_HANDLED, before=before)
        await tx.run(FORGET_COMMANDS, before=before)
