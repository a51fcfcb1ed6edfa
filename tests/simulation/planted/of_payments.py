"""Planted in payments: money that is taken twice, kept, or given back twice."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import update

from hansa.kernel.ids import slot_of
from hansa.kernel.money import Money
from hansa.platform.database.statement import Statement
from hansa.platform.providers.payments import Answer
from hansa.services.payments import rules, store
from hansa.services.payments.contract import NoSuchPayment, RefundTooLarge
from hansa.services.payments.rules import Intent, Word
from hansa.services.payments.service import charging
from hansa.services.payments.service.asking import asked
from hansa.services.payments.service.charging import Charging
from hansa.services.payments.service.record import Finding, Record, _unheard
from hansa.services.payments.service.refunding import Due, End, Refunding
from hansa.services.payments.tables import INTENTS
from tests.simulation.planted.patching import replaced, without_constraints

_CHANGE_ANYHOW = Statement(
    update(INTENTS)
    .where(INTENTS.c.slot == store._CHANGES.c.slot, INTENTS.c.order_id == store._CHANGES.c.order_id)
    .values({name: store._CHANGES.c[name] for name in store._CHANGED if name not in ("slot", "order_id", "since")})
    .returning(INTENTS.c.order_id)
)


@contextmanager
def release_after_capture() -> Iterator[None]:
    def owes_all(before: Intent, after: Intent) -> bool:
        return after.is_closed and after.left > 0 and after.captured > before.captured

    with replaced(rules, owes_all=owes_all):
        yield


@contextmanager
def new_key_for_a_charge() -> Iterator[None]:
    async def word(self: Any, port: Any, intent: Intent, *, now: datetime) -> Answer | None:
        key, reference = intent.order_id, intent.reference
        if intent.is_closed:
            return await asked(port.void(key=key, reference=reference), what="void", order_id=key)
        token = await self._token(intent)
        anew = self._ids.new(slot=slot_of(key))
        amount = Money(intent.amount, intent.currency)
        call = port.charge(key=anew, token=token or "", amount=amount, capture=intent.mode == "charge")
        return await asked(call, what="charge", order_id=key)

    with replaced(Charging, _word=word):
        yield


@contextmanager
def new_key_for_a_refund() -> Iterator[None]:
    async def ask(self: Any, due: Due) -> End | None:
        refund, intent = due.refund, due.intent
        call = self._providers[intent.provider].refund(
            key=f"{refund.order_id}:{refund.key}:{refund.attempts}",
            reference=intent.reference,
            amount=Money(refund.amount, intent.currency),
        )
        answer = await asked(call, what="refund", order_id=intent.order_id)
        return None if answer is None or answer.state == "pending" else End(refund, answer)

    with replaced(Refunding, _ask=ask):
        yield


@contextmanager
def late_webhook_ignored() -> Iterator[None]:
    told = rules.told

    def told_in_time(intent: Intent, *, state: Word, reference: str, reason: str, now: datetime) -> Intent:
        if state == "captured" and (intent.is_closed or intent.state in ("failed", "voided")):
            return msgspec.structs.replace(intent, state="voided", token="", next_look_at=None)
        return told(intent, state=state, reference=reference, reason=reason, now=now)

    with replaced(rules, told=told_in_time):
        yield


@contextmanager
def stale_payment() -> Iterator[None]:
    begin, take_due, lock = Record.begin, Record.take_due, Record._lock

    async def begin_and_remember(self: Any, draft: Intent) -> tuple[Intent, bool]:
        intent, is_new = await begin(self, draft)
        _before_the_call(self)[intent.order_id] = intent
        return intent, is_new

    async def take_and_remember(self: Any, *, limit: int) -> list[Intent]:
        due = await take_due(self, limit=limit)
        _before_the_call(self).update({intent.order_id: intent for intent in due})
        return due

    async def hear(self: Any, finding: Finding) -> Intent | None:
        return (await hear_all(self, [finding])).get(finding.order_id)

    async def hear_all(self: Any, findings: Sequence[Finding]) -> dict[str, Intent]:
        if not findings:
            return {}
        async with self._database.write(*sorted({slot_of(finding.order_id) for finding in findings})) as tx:
            sheet = await lock(self, tx, {finding.order_id for finding in findings})
            for finding in await _unheard(tx, sheet, findings):
                # A webhook is told of no call, so what it is about is read.
                stale = None if finding.notice_id else _before_the_call(self).pop(finding.order_id, None)
                if stale is not None:
                    sheet._after[finding.order_id] = stale
                word = finding.answer
                revision = partial(
                    rules.told, state=word.state, reference=word.reference, reason=word.reason, now=sheet.now
                )
                sheet.revise(finding.order_id, revision)
            await sheet.write()
        return sheet.intents

    with (
        without_constraints(),
        replaced(store, CHANGE_INTENTS=_CHANGE_ANYHOW),
        replaced(Record, begin=begin_and_remember, take_due=take_and_remember, hear=hear, hear_all=hear_all),
    ):
        yield


def _before_the_call(record: Any) -> dict[str, Intent]:
    """Payments as they were before their provider was asked."""
    known: dict[str, Intent] = record.__dict__.setdefault("_before_the_call", {})
    return known


@contextmanager
def silence_is_a_no() -> Iterator[None]:
    async def heard(call: Any, *, what: str, order_id: str) -> Any:
        answer = await asked(call, what=what, order_id=order_id)
        return Answer(state="declined", reason="no answer") if answer is None and what == "charge" else answer

    with replaced(charging, asked=heard):
        yield


@contextmanager
def refund_of_what_was_paid() -> Iterator[None]:
    def refund_amount(intent: Intent | None, amount: Money | None) -> int:
        if intent is None or not intent.is_payment:
            raise NoSuchPayment()
        wanted = intent.captured if amount is None else amount.amount
        if not 0 < wanted <= intent.captured:
            raise RefundTooLarge(refundable=intent.captured)
        return wanted

    with without_constraints(), replaced(rules, refund_amount=refund_amount):
        yield
