"""Taking money: the intent is committed before the provider is asked, and only its own word makes a payment true."""

from datetime import datetime
from functools import partial
from typing import NamedTuple

import msgspec
import structlog

from hansa.kernel.clock import Clock
from hansa.kernel.errors import DeadlineExceeded, Fault
from hansa.kernel.ids import Ids, slot_of
from hansa.kernel.money import Money
from hansa.platform.providers.payments import Answer, PaymentProvider
from hansa.platform.security.sealing import Box, Keyring, PersonErased, SealBroken
from hansa.services.payments import rules
from hansa.services.payments.contract import PaymentConflict
from hansa.services.payments.rules import Intent, Mode
from hansa.services.payments.service.asking import Providers, asked, each
from hansa.services.payments.service.record import Finding, Record

LARGEST_SWEEP = 128
"""Payments that one run of the sweeper looks at."""
TOKEN_CONTEXT = "payments.token"
ERASED = "erased"

log = structlog.get_logger()


class Found(NamedTuple):
    """What a provider knows of a charge, if it knows anything; not to be mistaken for its silence."""

    answer: Answer | None


class Charging:
    """Charges, authorizations and captures, and the sweeper that settles those of which nobody has heard."""

    def __init__(self, *, record: Record, providers: Providers, keyring: Keyring, clock: Clock, ids: Ids) -> None:
        self._record = record
        self._providers = providers
        self._keyring = keyring
        self._clock = clock
        self._ids = ids

    async def take(self, *, order_id: str, provider: str, token: str, amount: Money, mode: Mode) -> tuple[Intent, bool]:
        """The payment of the order, asked for if that was not done yet, and whether it is new.

        The provider is asked with the order's id as key, so that two of these at once, or one after a crash, take the
        money once. Raises what rules.must_match and rules.must_stand raise, and NoSuchProvider.
        """
        port = self._providers[provider]
        if amount.amount < 0:
            raise PaymentConflict(state="negative")
        draft = await self._draft(order_id=order_id, provider=provider, token=token, amount=amount, mode=mode)
        intent, is_new = await self._record.begin(draft)
        rules.must_match(intent, request=draft.request)
        rules.must_stand(intent)
        if intent.state == "created":
            # A silent provider makes it pending, so that repetitions wait for the sweeper instead of asking again.
            answer = await self._send(port, intent, token) or Answer(state="pending")
            found = Finding(order_id=order_id, provider=provider, answer=answer, seen=intent)
            intent = await self._record.hear(found) or intent
            rules.must_stand(intent)
        return intent, is_new

    async def capture(self, intent: Intent) -> Intent:
        """Take what is held. Raises PaymentConflict, or DeadlineExceeded if nobody knows."""
        if intent.state == "captured" and not intent.is_closed:
            return intent
        if intent.is_closed or intent.state != "authorized":
            raise PaymentConflict(state=rules.CLOSED if intent.is_closed else rules.payment(intent).state)
        after = await self._ask_about(intent, "capture")
        if after.state != "captured":
            raise PaymentConflict(state=after.state)
        return after

    async def void(self, intent: Intent) -> Intent:
        """Let go what is held. Raises PaymentConflict, or DeadlineExceeded if nobody knows."""
        if intent.state == "voided":
            return intent
        if intent.state != "authorized":
            raise PaymentConflict(state=rules.payment(intent).state)
        after = await self._ask_about(intent, "void")
        if after.state != "voided":
            raise PaymentConflict(state=after.state)
        return after

    async def sweep(self) -> None:
        """Settle a bounded number of payments that are silent, or closed and not yet voided."""
        due = await self._record.take_due(limit=LARGEST_SWEEP)
        findings = await each(due, self._look, what="look")
        await self._record.hear_all([finding for finding in findings if finding is not None])

    async def _draft(self, *, order_id: str, provider: str, token: str, amount: Money, mode: Mode) -> Intent:
        try:
            sealed = (await self._box(order_id)).seal(token, context=TOKEN_CONTEXT)
        except PersonErased:
            raise PaymentConflict(state=ERASED) from None
        now = self._clock.now()
        asked_for = msgspec.json.encode([provider, token, amount, mode]).decode()
        return Intent(
            order_id=order_id,
            payment_id=self._ids.new(slot=slot_of(order_id)),
            provider=provider,
            # A keyed hash, because a token must not be guessed from what outlives it.
            request=self._keyring.lookup_hash(kind="payments.request", value=asked_for),
            token=sealed,
            amount=amount.amount,
            currency=amount.currency,
            mode=mode,
            state="created",
            next_look_at=now + rules.LOOKS[0],
            created_at=now,
        )

    async def _box(self, order_id: str) -> Box:
        return await self._keyring.box(person=f"order:{order_id}")

    async def _send(self, port: PaymentProvider, intent: Intent, token: str) -> Answer | None:
        if intent.amount == 0:
            return Answer(state="captured")  # providers refuse to take nothing, and there is nothing to take
        amount = Money(intent.amount, intent.currency)
        call = port.charge(key=intent.order_id, token=token, amount=amount, capture=intent.mode == "charge")
        return await asked(call, what="charge", order_id=intent.order_id)

    async def _ask_about(self, intent: Intent, what: str) -> Intent:
        """Capture or void an authorization. It is marked first, so that the sweeper asks what came of it if we die."""
        if intent.provider not in self._providers:
            raise Fault(f"the provider {intent.provider} is gone")
        port = self._providers[intent.provider]
        act = port.capture if what == "capture" else port.void
        await self._doubt(intent)
        answer = await asked(act(key=intent.order_id, reference=intent.reference), what=what, order_id=intent.order_id)
        if answer is None:
            await self._doubt(intent)
            raise DeadlineExceeded(f"{what} at {intent.provider}")
        finding = Finding(order_id=intent.order_id, provider=intent.provider, answer=answer)
        return await self._record.hear(finding) or intent

    async def _doubt(self, intent: Intent) -> None:
        await self._record.revise(order_id=intent.order_id, revision=partial(rules.doubtful, now=self._clock.now()))

    async def _look(self, intent: Intent) -> Finding | None:
        """What the provider now says of a payment; None if it says nothing, or has not heard of it yet."""
        if intent.provider not in self._providers:
            log.error("payment of a provider that is gone", order=intent.order_id, provider=intent.provider)
            return None
        port = self._providers[intent.provider]
        answer = await self._word(port, intent, now=self._clock.now())
        if answer is None:
            return None
        return Finding(order_id=intent.order_id, provider=intent.provider, answer=answer)

    async def _word(self, port: PaymentProvider, intent: Intent, *, now: datetime) -> Answer | None:
        key, reference = intent.order_id, intent.reference
        if intent.is_closed:
            return await asked(port.void(key=key, reference=reference), what="void", order_id=key)
        found = await asked(_find(port, key), what="find", order_id=key)
        if found is None or found.answer is not None or not rules.may_resend(intent, now=now):
            return found and found.answer
        token = await self._token(intent)
        if token is None:
            # It cannot be sent any more, so make sure that it never arrives.
            return await asked(port.void(key=key, reference=reference), what="void", order_id=key)
        return await self._send(port, intent, token)

    async def _token(self, intent: Intent) -> str | None:
        try:
            return (await self._box(intent.order_id)).open(intent.token, str, context=TOKEN_CONTEXT)
        except (PersonErased, SealBroken) as error:
            log.error("a payment's token is lost", order=intent.order_id, error=type(error).__name__)
            return None


async def _find(port: PaymentProvider, key: str) -> Found:
    return Found(await port.find(key=key))
