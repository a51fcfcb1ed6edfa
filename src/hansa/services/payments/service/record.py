"""Where words become facts: rows are locked, rules decide, and rows, events and owed refunds commit together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from hansa.kernel.clock import Clock, to_micros
from hansa.kernel.ids import Ids, slot_of
from hansa.platform.database.port import Database, Transaction
from hansa.platform.providers.payments import Answer
from hansa.services.payments import rules, store
from hansa.services.payments.rules import Intent
from hansa.services.payments.service.rows import intent_of, intent_values, place_of
from hansa.services.payments.service.sheet import Revision, Sheet

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a provider said of the payment of an order; with the id of the webhook, if it was one."""

    order_id: str
    provider: str
    answer: Answer
    notice_id: str = ""


class Record:
    """Writes what became of payments. The hot parts take sets: one transaction serves many."""

    def __init__(self, *, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    async def begin(self, drafts: Sequence[Intent]) -> dict[str, tuple[Intent, bool]]:
        """Add the payments of orders that have none; returns what is kept of each order, and whether it is new."""
        drafts = sorted(drafts, key=lambda draft: place_of(draft.order_id))
        by_order = {draft.order_id: draft for draft in drafts}
        places = [place_of(order_id) for order_id in by_order]
        async with self._database.write(*{slot for slot, _ in places}) as tx:
            added = await store.add_intents(tx, intents=map(intent_values, drafts))
            older = [place for place in places if place[1] not in added]
            rows = await store.find_intents(tx, places=older) if older else []
        kept = {order_id: (draft, True) for order_id, draft in by_order.items() if int(order_id) in added}
        return kept | {intent.order_id: (intent, False) for intent in map(intent_of, rows)}

    async def hear(self, findings: Sequence[Finding]) -> dict[str, Intent]:
        """Record what was found, each webhook once; returns the payments as they then are, by order."""
        if not findings:
            return {}
        async with self._database.write(*{slot_of(finding.order_id) for finding in findings}) as tx:
            sheet = await self._lock(tx, {finding.order_id for finding in findings})
            for finding in await _unheard(tx, sheet, findings):
                word = finding.answer
                told = partial(
                    rules.told, state=word.state, reference=word.reference, reason=word.reason, now=sheet.now
                )
                sheet.revise(finding.order_id, told)
            await sheet.write()
        return sheet.intents

    async def revise(self, *, order_id: str, revision: Revision) -> Intent | None:
        """Change one payment in a transaction of its own; returns it as it then is, None if there is none."""
        async with self._database.write(slot_of(order_id)) as tx:
            sheet = await self._lock(tx, {order_id})
            if order_id in sheet:
                sheet.revise(order_id, revision)
            await sheet.write()
        return sheet.get(order_id)

    async def take_due(self, *, limit: int) -> list[Intent]:
        """Payments that are due to be looked at, for the caller alone: nobody else is given them for a while."""
        places = await store.due_intents(self._database, now=to_micros(self._clock.now()), limit=limit)
        if not places:
            return []
        async with self._database.write(*{slot for slot, _ in places}) as tx:
            sheet = await self._lock(tx, {str(order_id) for _, order_id in places})
            for order_id in sheet.intents:
                sheet.revise(order_id, partial(rules.looking, now=sheet.now))
            await sheet.write()
        return sheet.changed

    async def close(self, tx: Transaction, *, order_ids: Iterable[str]) -> None:
        """Mark orders as closed: nothing more is taken for them, and what was taken goes back."""
        now = self._clock.now()
        marks = [
            rules.tombstone(order_id=order_id, payment_id=self._ids.new(slot=slot_of(order_id)), now=now)
            for order_id in sorted(set(order_ids), key=place_of)
        ]
        await store.add_intents(tx, intents=map(intent_values, marks))
        sheet = await self._lock(tx, {mark.order_id for mark in marks})
        for order_id in sheet.intents:
            sheet.revise(order_id, partial(rules.closed, now=now))
        await sheet.write()

    async def _lock(self, tx: Transaction, order_ids: Iterable[str]) -> Sheet:
        return await Sheet.lock(tx, order_ids=order_ids, ids=self._ids, now=self._clock.now())


async def _unheard(tx: Transaction, sheet: Sheet, findings: Sequence[Finding]) -> list[Finding]:
    """The findings that count: of payments that exist, from their own provider, and no webhook for a second time."""
    known = []
    for finding in findings:
        intent = sheet.get(finding.order_id)
        if intent is None or intent.provider != finding.provider:
            log.warning("word of an unknown payment", order=finding.order_id, provider=finding.provider)
        else:
            known.append(finding)
    notices = {
        (finding.provider, finding.notice_id): {
            "slot": slot_of(finding.order_id),
            "provider": finding.provider,
            "notice_id": finding.notice_id,
            "order_id": int(finding.order_id),
            "heard_at": to_micros(sheet.now),
        }
        for finding in known
        if finding.notice_id
    }
    fresh = await store.add_notices(tx, notices=[notices[key] for key in sorted(notices)]) if notices else set()
    return [finding for finding in known if not finding.notice_id or (finding.provider, finding.notice_id) in fresh]
