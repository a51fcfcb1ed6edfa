"""Where words become facts: rows are locked, rules decide, and rows, events and owed refunds commit together."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import NamedTuple

import msgspec
import structlog

from hansa.kernel.clock import Clock, to_micros
from hansa.kernel.ids import Ids, slot_of
from hansa.platform.database.batcher import Batcher
from hansa.platform.database.port import Database, Transaction
from hansa.platform.providers.payments import Answer
from hansa.services.payments import rules, store
from hansa.services.payments.rules import Intent
from hansa.services.payments.service.rows import intent_of, intent_row, place_of, settled_row
from hansa.services.payments.service.sheet import Revision, Sheet

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a provider said of the payment of an order; with the id of the webhook, if it was one.

    `seen` is the payment as the finder knows it: one that is still so need not be read again.
    """

    order_id: str
    provider: str
    answer: Answer
    notice_id: str = ""
    seen: Intent | None = None

    @property
    def word(self) -> Callable[..., Intent]:
        """What the rules make of it, but for the moment."""
        told = self.answer
        return partial(rules.told, state=told.state, reference=told.reference, reason=told.reason)


class Kept(NamedTuple):
    """The payment of an order, None if there is none, and whether it was new to what was handed in."""

    intent: Intent | None
    is_new: bool


class Record:
    """Writes what became of payments. What comes at the same time shares one transaction, and each hears of its own."""

    def __init__(self, *, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._batches = Batcher(database=database, act=self._serve, slots=lambda item: (slot_of(item.order_id),))

    async def break_off(self) -> None:
        """End what is under way, as if the process had died."""
        await self._batches.close()

    async def begin(self, draft: Intent) -> tuple[Intent, bool]:
        """Add the payment of an order that has none; returns what is kept of it, and whether it is new."""
        kept = await self._batches.submit(draft)
        assert kept.intent is not None
        return kept.intent, kept.is_new

    async def hear(self, finding: Finding) -> Intent | None:
        """Record what was found, a webhook once; returns the payment as it then is, None if there is none."""
        kept = await self._batches.submit(finding)
        if kept.intent is None and finding.seen is not None:
            kept = await self._batches.submit(replace(finding, seen=None))
        return kept.intent

    async def hear_all(self, findings: Sequence[Finding]) -> None:
        """Record what was found, all of it or nothing."""
        if findings:
            async with self._database.write(*{slot_of(finding.order_id) for finding in findings}) as tx:
                await self._told(tx, findings)

    async def _serve(self, tx: Transaction, items: Sequence[Intent | Finding]) -> list[Kept | Exception]:
        drafts = [item for item in items if isinstance(item, Intent)]
        findings = [item for item in items if isinstance(item, Finding)]
        begun = await _begun(tx, drafts)
        told = await self._told(tx, findings)
        answers: list[Kept | Exception] = []
        for item in items:
            if isinstance(item, Intent):
                kept = begun[item.order_id]
                answers.append(Kept(kept, kept is item))
            else:
                answers.append(Kept(told.get(item.order_id), True))
        return answers

    async def _told(self, tx: Transaction, findings: Sequence[Finding]) -> Mapping[str, Intent]:
        """The payments of what was found as they then are; those that are not as they were seen are left out."""
        if not findings:
            return {}
        if _are_seen(findings):
            return await _settled(tx, findings, now=self._clock.now())
        # Rows are locked in one go, also those that were seen, so that nobody waits for another in a ring.
        sheet = await self._lock(tx, {finding.order_id for finding in findings})
        for finding in await _unheard(tx, sheet, findings):
            sheet.revise(finding.order_id, partial(finding.word, now=sheet.now))
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
        await store.add_intents(tx, intents=map(intent_row, marks))
        sheet = await self._lock(tx, {mark.order_id for mark in marks})
        for order_id in sheet.intents:
            sheet.revise(order_id, partial(rules.closed, now=now))
        await sheet.write()

    async def _lock(self, tx: Transaction, order_ids: Iterable[str]) -> Sheet:
        return await Sheet.lock(tx, order_ids=order_ids, ids=self._ids, now=self._clock.now())


async def _begun(tx: Transaction, drafts: Sequence[Intent]) -> dict[str, Intent]:
    """Add the payments of orders that have none; returns what is kept of each order."""
    if not drafts:
        return {}
    firsts: dict[str, Intent] = {}
    for draft in drafts:
        firsts.setdefault(draft.order_id, draft)
    added = await store.add_intents(tx, intents=sorted(map(intent_row, firsts.values())))
    kept = {order_id: draft for order_id, draft in firsts.items() if int(order_id) in added}
    if older := [place_of(order_id) for order_id in firsts if order_id not in kept]:
        kept |= {intent.order_id: intent for intent in map(intent_of, await store.find_intents(tx, places=older))}
    return kept


def _are_seen(findings: Sequence[Finding]) -> bool:
    """Whether all are of payments in the making that somebody has in hand, each named once."""
    return len({finding.order_id for finding in findings}) == len(findings) and all(
        finding.seen is not None and finding.seen.state == "created" and not finding.seen.is_closed
        for finding in findings
    )


async def _settled(tx: Transaction, findings: Sequence[Finding], *, now: datetime) -> dict[str, Intent]:
    """Write what was found of payments in the making without reading them again, where they are as they were seen."""
    told: dict[str, Intent] = {}
    for finding in findings:
        assert finding.seen is not None
        after = finding.word(finding.seen, now=now)
        told[finding.order_id] = msgspec.structs.replace(after, version=finding.seen.version + 1)
    written = await store.settle_intents(tx, settled=sorted(map(settled_row, told.values())))
    for finding in findings:
        order_id, seen = finding.order_id, finding.seen
        if int(order_id) not in written:
            del told[order_id]
        elif seen is not None and (fact := rules.fact(seen, told[order_id])) is not None:
            tx.emit(fact, slot=slot_of(order_id), aggregate=order_id, version=told[order_id].version)
    return told


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
