"""The log of deliveries: to be read, and what is in it sent again."""

import math
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated

import msgspec
import structlog

from hansa.kernel.clock import Clock
from hansa.kernel.ids import LARGEST, Ids, slot_of
from hansa.kernel.page import Page, read_cursor, write_cursor
from hansa.platform.database.idempotency import claim, decode, digest, keep
from hansa.platform.database.port import Database, Transaction
from hansa.services.notifications.contract import (
    MOST_REPLAYED,
    PING,
    REPLAY_REST_S,
    Delivery,
    DeliveryRecord,
    DeliveryState,
    DeliveryUnknown,
    Replayed,
    ReplayTooSoon,
    WebhookAsleep,
    WebhookUnknown,
)
from hansa.services.notifications.rules import webhooks as rules
from hansa.services.notifications.service.deeds import Deeds
from hansa.services.notifications.service.sending import TAKEN_FOR, Sending
from hansa.services.notifications.store import deliveries
from hansa.services.notifications.store import webhooks as store
from hansa.services.notifications.store.deliveries import Message
from hansa.services.notifications.store.webhooks import SLOT, Hook

TIDIED_AT_ONCE = 1_000
"""Rows that are dropped or forgotten in one commit."""
MOST_BATCHES = 100
"""Of one kind in one run; what is left waits for the next."""
_CURSOR = "webhook deliveries"
_Position = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]

log = structlog.get_logger()


class Logbook:
    """See the module."""

    def __init__(self, *, database: Database, clock: Clock, ids: Ids, sending: Sending) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._deeds = Deeds(clock=clock, ids=ids)
        self._sending = sending

    async def page(
        self, *, webhook_id: str | None, state: DeliveryState | None, limit: int, cursor: str | None
    ) -> Page[Delivery]:
        before = read_cursor(_CURSOR, cursor, _Position, _Position) or (LARGEST, LARGEST)
        found = await deliveries.page(
            self._database, webhook_id=webhook_id, state=state, before=(before[0], before[1]), limit=limit + 1
        )
        items = tuple(found[:limit])
        more = None
        if len(found) > limit:
            more = write_cursor(_CURSOR, int(items[-1].event_id), int(items[-1].webhook_id))
        return Page(items=items, next_cursor=more)

    async def get(self, *, webhook_id: str, event_id: str) -> DeliveryRecord:
        delivery = await deliveries.find(self._database, webhook_id=webhook_id, event_id=event_id)
        if delivery is None:
            raise DeliveryUnknown()
        return DeliveryRecord(delivery=delivery, body=await deliveries.body(self._database, event_id=event_id))

    async def ping(self, *, key: str, webhook_id: str, actor: str) -> Delivery:
        now, event_id = self._clock.now(), self._ids.new(slot=SLOT)
        async with self._database.write(SLOT) as tx:
            kept = await claim(tx, slot=SLOT, key=f"ping:{key}", request=digest(webhook_id, actor), now=now)
            if kept is not None:
                return decode(kept, Delivery)
            await self._listening(tx, webhook_id, states=(rules.ACTIVE,))
            body = rules.body(type_=PING, at=now, data={"webhook_id": webhook_id})
            message = Message(event_id=event_id, type=PING, body=body.decode(), webhooks=(webhook_id,))
            await deliveries.add(tx, [message], at=now)
            answer = await self._answer(tx, webhook_id, event_id)
            await self._deeds.note(tx, webhook_id, actor=actor, action="ping", detail={"event_id": event_id})
            await keep(tx, slot=SLOT, key=f"ping:{key}", answer=answer)
        await self._sending.kick(webhook_id)
        return answer

    async def replay(self, *, key: str, webhook_id: str, event_id: str, actor: str) -> Delivery:
        now = self._clock.now()
        async with self._database.write(SLOT, slot_of(event_id)) as tx:
            request = digest(webhook_id, event_id, actor)
            kept = await claim(tx, slot=SLOT, key=f"replay:{key}", request=request, now=now)
            if kept is not None:
                return decode(kept, Delivery)
            await self._listening(tx, webhook_id, states=_MAY_BE_REPLAYED)
            await deliveries.replay(tx, webhook_id=webhook_id, event_id=event_id, at=now, soon=now + TAKEN_FOR)
            answer = await self._answer(tx, webhook_id, event_id)
            await self._deeds.note(tx, webhook_id, actor=actor, action="replay", detail={"event_id": event_id})
            await keep(tx, slot=SLOT, key=f"replay:{key}", answer=answer)
        await self._sending.kick(webhook_id)
        return answer

    async def replay_failed(self, *, key: str, webhook_id: str, since: datetime, actor: str) -> Replayed:
        now = self._clock.now()
        async with self._database.write(SLOT) as tx:
            request = digest(webhook_id, since, actor)
            kept = await claim(tx, slot=SLOT, key=f"replay_failed:{key}", request=request, now=now)
            if kept is not None:
                return decode(kept, Replayed)
            await self._listening(tx, webhook_id, states=_MAY_BE_REPLAYED)
            rest = timedelta(seconds=REPLAY_REST_S)
            last = await store.replayed(tx, webhook_id=webhook_id, at=now, before=now - rest)
            if last is not None:
                raise ReplayTooSoon(retry_after_s=max(1, math.ceil((last + rest - now).total_seconds())))
            count = await deliveries.replay_lost(tx, webhook_id=webhook_id, since=since, at=now, limit=MOST_REPLAYED)
            answer = Replayed(count=count)
            detail = {"since": since.isoformat(), "count": count}
            await self._deeds.note(tx, webhook_id, actor=actor, action="replay_failed", detail=detail)
            await keep(tx, slot=SLOT, key=f"replay_failed:{key}", answer=answer)
        await self._sending.kick(webhook_id)
        return answer

    async def tidy(self) -> None:
        """Give up what is due where nobody listens any more, and forget what is older than it need be."""
        for webhook_id in await store.silent(self._database):
            await self._in_batches(partial(deliveries.drop, webhook_id=webhook_id))
        before = self._clock.now() - rules.REMEMBERED
        await self._in_batches(partial(deliveries.forget, before=before))
        await self._in_batches(partial(deliveries.forget_messages, before=before))
        async with self._database.write() as tx:
            await store.forget(tx, before=before)

    async def _in_batches(self, act: Callable[..., Awaitable[int]]) -> None:
        """Each in a commit of its own, so that nobody waits long for the database."""
        for _ in range(MOST_BATCHES):
            async with self._database.write() as tx:
                count = await act(tx, limit=TIDIED_AT_ONCE)
            if count < TIDIED_AT_ONCE:
                return

    async def _listening(self, tx: Transaction, webhook_id: str, *, states: tuple[str, ...]) -> Hook:
        """Raises WebhookUnknown, and WebhookAsleep for one in another state."""
        hook = await store.find(tx, webhook_id=webhook_id)
        if hook is None:
            raise WebhookUnknown()
        if hook.state not in states:
            raise WebhookAsleep(state=hook.state)
        return hook

    async def _answer(self, tx: Transaction, webhook_id: str, event_id: str) -> Delivery:
        delivery = await deliveries.find(tx, webhook_id=webhook_id, event_id=event_id)
        if delivery is None:
            raise DeliveryUnknown()
        return delivery


_MAY_BE_REPLAYED = (rules.ACTIVE, rules.PAUSED, rules.FAILING)
