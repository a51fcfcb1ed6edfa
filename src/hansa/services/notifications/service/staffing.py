"""What staff do with webhooks: make, change and delete them, and change their secrets."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec

from hansa.kernel.clock import Clock, from_micros, to_micros
from hansa.kernel.ids import Ids
from hansa.platform.database.idempotency import claim, decode, digest, keep
from hansa.platform.database.port import Database, Transaction
from hansa.platform.outgoing.port import Poster
from hansa.services.notifications.contract import (
    MOST_WEBHOOKS,
    EventType,
    EventTypeList,
    TooManyWebhooks,
    Webhook,
    WebhookChange,
    WebhookChanged,
    WebhookDraft,
    WebhookInvalid,
    Webhooks,
    WebhookSecret,
    WebhookState,
    WebhookUnknown,
)
from hansa.services.notifications.rules import webhooks as rules
from hansa.services.notifications.service.deeds import Deeds
from hansa.services.notifications.service.hearing import Roster
from hansa.services.notifications.service.secrets import Secrets
from hansa.services.notifications.store import webhooks as store
from hansa.services.notifications.store.webhooks import SLOT, Hook


class Staffing:
    """See the module. Of an answer with a secret only the webhook's id is kept for a repetition, and the rest is read
    anew: so nothing is left of the secret when the webhook is deleted."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ids: Ids,
        poster: Poster,
        secrets: Secrets,
        roster: Roster,
        event_types: Mapping[str, str],
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._deeds = Deeds(clock=clock, ids=ids)
        self._poster = poster
        self._secrets = secrets
        self._roster = roster
        self._event_types = event_types

    async def every(self) -> Webhooks:
        return Webhooks(items=tuple(shown(hook) for hook in await store.every(self._database)))

    def event_types(self) -> EventTypeList:
        types = self._event_types
        return EventTypeList(items=tuple(EventType(type=type_, summary=types[type_]) for type_ in sorted(types)))

    async def get(self, *, webhook_id: str) -> Webhook:
        hook = await store.find(self._database, webhook_id=webhook_id)
        if hook is None:
            raise WebhookUnknown()
        return shown(hook)

    async def create(self, *, key: str, draft: WebhookDraft, actor: str) -> WebhookSecret:
        now, webhook_id = self._now(), self._ids.new(slot=SLOT)
        async with self._database.write(SLOT) as tx:
            kept = await claim(tx, slot=SLOT, key=f"create:{key}", request=digest(draft, actor), now=now)
            if kept is None:
                self._check(url=draft.url, types=draft.types)
                hook = Hook(
                    id=webhook_id,
                    url=draft.url,
                    types=_ordered(draft.types),
                    description=draft.description.strip(),
                    state=rules.ACTIVE,
                    reason="",
                    secret=self._secrets.make(webhook_id=webhook_id),
                    old_secret="",
                    old_until=None,
                    failing_since=None,
                    created_at=now,
                    updated_at=now,
                    version=1,
                )
                if not await store.add(tx, hook):
                    raise TooManyWebhooks(most=MOST_WEBHOOKS)
                await self._deeds.note(tx, hook.id, actor=actor, action="create", detail=_detail(hook))
                await keep(tx, slot=SLOT, key=f"create:{key}", answer=hook.id)
            else:
                hook = await self._found(tx, decode(kept, str))
        await self._roster.known_everywhere()
        return self._opened(hook)

    async def change(
        self, *, key: str, webhook_id: str, change: WebhookChange, version: int | None, actor: str
    ) -> Webhook:
        request = digest(webhook_id, change, version, actor)
        async with self._database.write(SLOT) as tx:
            kept = await claim(tx, slot=SLOT, key=f"change:{key}", request=request, now=self._now())
            if kept is None:
                answer = await self._change(tx, webhook_id, change, version=version, actor=actor)
                await keep(tx, slot=SLOT, key=f"change:{key}", answer=answer)
            else:
                answer = decode(kept, Webhook)
        may_hear_more = change.types is not None or change.is_paused is False
        if may_hear_more and answer.state == rules.ACTIVE:
            await self._roster.known_everywhere()
        return answer

    async def delete(self, *, key: str, webhook_id: str, actor: str) -> None:
        now = self._now()
        async with self._database.write(SLOT) as tx:
            if await claim(tx, slot=SLOT, key=f"delete:{key}", request=digest(webhook_id, actor), now=now) is not None:
                return
            hook = await self._found(tx, webhook_id)
            if not await store.delete_one(tx, webhook_id=webhook_id, at=now):
                raise WebhookUnknown()
            await self._deeds.note(tx, webhook_id, actor=actor, action="delete", detail=_detail(hook))
            await keep(tx, slot=SLOT, key=f"delete:{key}", answer=None)

    async def reveal(self, *, key: str, webhook_id: str, actor: str) -> WebhookSecret:
        async with self._database.write(SLOT) as tx:
            request = digest(webhook_id, actor)
            kept = await claim(tx, slot=SLOT, key=f"reveal:{key}", request=request, now=self._now())
            hook = await self._found(tx, webhook_id)
            if kept is None:
                await self._deeds.note(tx, webhook_id, actor=actor, action="reveal", detail={})
                await keep(tx, slot=SLOT, key=f"reveal:{key}", answer=webhook_id)
        return self._opened(hook)

    async def rotate(self, *, key: str, webhook_id: str, actor: str) -> WebhookSecret:
        now = self._now()
        async with self._database.write(SLOT) as tx:
            kept = await claim(tx, slot=SLOT, key=f"rotate:{key}", request=digest(webhook_id, actor), now=now)
            if kept is None:
                secret = self._secrets.make(webhook_id=webhook_id)
                until = now + rules.OLD_SECRET_FOR
                hook = await store.rotate(tx, webhook_id=webhook_id, secret=secret, until=until, at=now)
                if hook is None:
                    raise WebhookUnknown()
                await self._deeds.note(tx, webhook_id, actor=actor, action="rotate", detail={})
                await keep(tx, slot=SLOT, key=f"rotate:{key}", answer=webhook_id)
            else:
                hook = await self._found(tx, webhook_id)
        return self._opened(hook)

    async def _change(
        self, tx: Transaction, webhook_id: str, change: WebhookChange, *, version: int | None, actor: str
    ) -> Webhook:
        hook = await self._found(tx, webhook_id)
        if version not in (None, hook.version):
            raise WebhookChanged(version=hook.version)
        wanted: dict[str, Any] = {}
        if change.url is not None:
            wanted["url"] = change.url
        if change.types is not None:
            wanted["types"] = _ordered(change.types)
        if change.description is not None:
            wanted["description"] = change.description.strip()
        self._check(url=wanted.get("url"), types=wanted.get("types", ()))
        if change.is_paused is not None and change.is_paused == (hook.state == rules.ACTIVE):
            wanted |= {"state": rules.PAUSED if change.is_paused else rules.ACTIVE, "reason": "", "failing_since": None}
        changed = msgspec.structs.replace(hook, **wanted)
        if changed == hook:
            return shown(hook)
        changed = await self._write(tx, msgspec.structs.replace(changed, updated_at=self._now()))
        if changed.state != hook.state:
            await store.recovered(tx, webhook_id=webhook_id)
        await self._deeds.note(tx, webhook_id, actor=actor, action="change", detail=_detail(changed))
        return shown(changed)

    async def _found(self, tx: Transaction, webhook_id: str) -> Hook:
        hook = await store.find(tx, webhook_id=webhook_id)
        if hook is None:
            raise WebhookUnknown()
        return hook

    async def _write(self, tx: Transaction, hook: Hook) -> Hook:
        """The webhook at its next version. Raises WebhookChanged if somebody was faster."""
        if not await store.change(tx, hook):
            present = await self._found(tx, hook.id)
            raise WebhookChanged(version=present.version)
        return msgspec.structs.replace(hook, version=hook.version + 1)

    def _check(self, *, url: str | None, types: tuple[str, ...]) -> None:
        if url is not None and (flaw := self._poster.flaw(url=url)) is not None:
            raise WebhookInvalid(pointer="/url", reason=flaw)
        if unknown := rules.unknown_type(types, known=tuple(self._event_types)):
            raise WebhookInvalid(pointer="/types", reason=f"{unknown} is no type of events")

    def _opened(self, hook: Hook) -> WebhookSecret:
        return WebhookSecret(webhook=shown(hook), secret=self._secrets.show(hook.secret, webhook_id=hook.id))

    def _now(self) -> datetime:
        """To the microsecond, as it will be read again."""
        return from_micros(to_micros(self._clock.now()))


def shown(hook: Hook) -> Webhook:
    return Webhook(
        id=hook.id,
        url=hook.url,
        types=hook.types,
        description=hook.description,
        state=cast(WebhookState, hook.state),
        reason=hook.reason,
        failing_since=hook.failing_since,
        old_secret_until=hook.old_until,
        created_at=hook.created_at,
        updated_at=hook.updated_at,
        version=hook.version,
    )


def _ordered(types: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(types)))


def _detail(hook: Hook) -> dict[str, Any]:
    """For audit rows: of an address its host only, since path and query may be a receiver's own secret."""
    parts = urlsplit(hook.url)
    return {
        "url": f"{parts.scheme}://{parts.netloc}",
        "types": list(hook.types),
        "state": hook.state,
    }
