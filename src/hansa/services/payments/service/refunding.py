"""Giving money back: a refund is promised under a lock, then tried with one key until the provider has answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import NamedTuple

import msgspec
import structlog

from hansa.kernel.clock import Clock, to_micros
from hansa.kernel.errors import BusinessError, ErrorRecord, record_error, revive_error
from hansa.kernel.ids import Ids, slot_of
from hansa.kernel.money import Money
from hansa.platform.database.idempotency import claim, decode, digest, keep
from hansa.platform.database.port import Database, Transaction
from hansa.platform.providers.payments import RefundAnswer
from hansa.services.payments import rules, store
from hansa.services.payments.contract import NoSuchPayment, RefundInvalid, RefundTooLarge
from hansa.services.payments.rules import Intent, RefundRow
from hansa.services.payments.service.asking import Providers, asked, each
from hansa.services.payments.service.rows import intent_of, place_of, refund_of
from hansa.services.payments.service.sheet import Sheet

LARGEST_RUN = 128
"""Refunds that one run of the job tries."""
REFUSALS = (NoSuchPayment, RefundTooLarge, RefundInvalid)

log = structlog.get_logger()


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided about a request for a refund, once and for all: a refund, or a refusal."""

    refund_id: str = ""
    refusal: ErrorRecord | None = None


@dataclass(frozen=True, kw_only=True)
class Due:
    """A refund to be tried, and the payment it belongs to."""

    refund: RefundRow
    intent: Intent


class End(NamedTuple):
    """How a refund ended."""

    refund: RefundRow
    answer: RefundAnswer


class Refunding:
    """Refunds that somebody asked for, and those that the closing of an order causes."""

    def __init__(self, *, database: Database, providers: Providers, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._providers = providers
        self._clock = clock
        self._ids = ids

    async def give_back(self, *, key: str, order_id: str, amount: Money | None, reason: str) -> tuple[RefundRow, str]:
        """The refund of this key, tried at once if it is new, and its currency. The same key is refused again, too."""
        slot, now = slot_of(order_id), self._clock.now()
        command = f"refund:{order_id}:{key}"
        async with self._database.write(slot) as tx:
            request = digest(order_id, amount, reason)
            kept = await claim(tx, slot=slot, key=command, request=request, now=now)
            if kept is None:
                decision = await self._decide(
                    tx, key=rules.asked_key(key), order_id=order_id, amount=amount, reason=reason
                )
                await keep(tx, slot=slot, key=command, answer=decision)
            else:
                decision = decode(kept, Decision)
        if decision.refusal is not None:
            raise revive_error(decision.refusal, REFUSALS)
        place = (*place_of(order_id), int(decision.refund_id))
        if kept is None:
            await self._try(await self._find([place]))
        [due] = await self._find([place])
        return due.refund, due.intent.currency

    async def run(self) -> None:
        """Try a bounded number of the refunds that are due."""
        await self._try(await self._take_due())

    async def _decide(self, tx: Transaction, *, key: str, order_id: str, amount: Money | None, reason: str) -> Decision:
        sheet = await Sheet.lock(tx, order_ids=[order_id], ids=self._ids, now=self._clock.now())
        slot, order = place_of(order_id)
        if (known := await store.find_refund(tx, slot=slot, order_id=order, key=key)) is not None:
            return Decision(refund_id=str(known["refund_id"]))  # older than the memory of keys
        try:
            owed = rules.refund_amount(sheet.get(order_id), amount)
        except BusinessError as refusal:
            return Decision(refusal=record_error(refusal))
        try_at = rules.refund_try_at(attempts=1, now=sheet.now)  # the first try is the caller's, the job's come later
        refund = sheet.owe(order_id, key=key, amount=owed, reason=reason, try_at=try_at)
        await sheet.write()
        return Decision(refund_id=refund.refund_id)

    async def _take_due(self) -> list[Due]:
        """Refunds that are due, for the caller alone: nobody else is given them for a while."""
        now = self._clock.now()
        places = await store.due_refunds(self._database, now=to_micros(now), limit=LARGEST_RUN)
        if not places:
            return []
        async with self._database.write(*{slot for slot, _, _ in places}) as tx:
            refunds = [refund_of(row) for row in await store.lock_refunds(tx, places=places)]
            still_due = [r for r in refunds if r.next_look_at is not None and r.next_look_at <= now]
            postponed = [_postponed(refund, now) for refund in still_due]
            taken = await store.postpone_refunds(tx, postponed=postponed)
        return await self._find([place for place in places if place[2] in taken])

    async def _find(self, places: Sequence[tuple[int, int, int]]) -> list[Due]:
        if not places:
            return []
        async with self._database.read(*{slot for slot, _, _ in places}) as reader:
            refunds = [refund_of(row) for row in await store.find_refunds(reader, places=places)]
            rows = await store.find_intents(reader, places=[place[:2] for place in places])
        intents = {intent.order_id: intent for intent in map(intent_of, rows)}
        return [Due(refund=refund, intent=intents[refund.order_id]) for refund in refunds]

    async def _try(self, dues: Sequence[Due]) -> None:
        """Ask the providers; refunds without an answer stay as they are and are due again later."""
        answers = await each(dues, self._ask, what="refund")
        await self._end([end for end in answers if end is not None])

    async def _ask(self, due: Due) -> End | None:
        refund, intent = due.refund, due.intent
        if intent.provider not in self._providers:
            log.error("refund at a provider that is gone", order=intent.order_id, provider=intent.provider)
            return None
        # Made of what the caller said, not of our ids: even a shop whose database was set back refunds once.
        call = self._providers[intent.provider].refund(
            key=f"{refund.order_id}:{refund.key}",
            reference=intent.reference,
            amount=Money(refund.amount, intent.currency),
        )
        answer = await asked(call, what="refund", order_id=intent.order_id)
        return None if answer is None or answer.state == "pending" else End(refund, answer)

    async def _end(self, ends: Sequence[End]) -> None:
        """Record how refunds ended, each once."""
        if not ends:
            return
        ends = sorted(ends, key=lambda end: (*place_of(end.refund.order_id), int(end.refund.refund_id)))
        async with self._database.write(*{slot_of(end.refund.order_id) for end in ends}) as tx:
            orders = {end.refund.order_id for end in ends}
            sheet = await Sheet.lock(tx, order_ids=orders, ids=self._ids, now=self._clock.now())
            settled = await store.settle_refunds(tx, settled=[_settled(end) for end in ends])
            for end in ends:
                if int(end.refund.refund_id) in settled:
                    _conclude(sheet, end)
            await sheet.write()


def _conclude(sheet: Sheet, end: End) -> None:
    refund, order_id = end.refund, end.refund.order_id
    if end.answer.state == "refunded":
        sheet.revise(order_id, partial(rules.given_back, amount=refund.amount))
        sheet.emit(order_id, rules.refunded_fact(sheet[order_id], refund))
        return
    log.error("refund declined", order=order_id, refund=refund.refund_id, reason=end.answer.reason)
    sheet.revise(order_id, partial(rules.not_given_back, amount=refund.amount))
    is_owed_anew = rules.is_owed_anew(sheet[order_id], refund)
    if rules.is_asked(refund) or not is_owed_anew:
        sheet.emit(order_id, rules.refund_failed_fact(sheet[order_id], refund, reason=end.answer.reason))
    if is_owed_anew:
        # By another key, because a provider repeats its answer to the old one.
        sheet.owe(
            order_id,
            key=rules.closing_key(order_id, instead_of=refund.refund_id),
            amount=refund.amount,
            reason=refund.reason,
            try_at=rules.refund_try_at(attempts=refund.attempts, now=sheet.now),
            attempts=refund.attempts,
        )


def _postponed(refund: RefundRow, now: datetime) -> tuple[int, int, int, int, int]:
    attempts = refund.attempts + 1
    next_look_at = rules.refund_try_at(attempts=attempts, now=now)
    return (*place_of(refund.order_id), int(refund.refund_id), attempts, to_micros(next_look_at))


def _settled(end: End) -> tuple[int, int, int, str, str]:
    state = "refunded" if end.answer.state == "refunded" else "failed"
    return (*place_of(end.refund.order_id), int(end.refund.refund_id), state, end.answer.reason)
