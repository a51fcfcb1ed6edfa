"""What is true of a payment: its state only ever rises, so that words from the provider may come in any order."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from hansa.kernel.event import Event
from hansa.kernel.ids import Id
from hansa.kernel.money import Money
from hansa.services.payments.contract import (
    NoSuchPayment,
    Payment,
    PaymentConflict,
    PaymentDeclined,
    Refund,
    RefundInvalid,
    RefundState,
    RefundTooLarge,
)
from hansa.services.payments.events import (
    PaymentAuthorized,
    PaymentCaptured,
    PaymentFailed,
    PaymentRefunded,
    PaymentRefundFailed,
)

Mode = Literal["charge", "authorize"]
IntentState = Literal["created", "pending", "authorized", "captured", "failed", "voided"]
Word = Literal["pending", "authorized", "captured", "declined", "voided"]
"""What a provider may say of a charge."""

CLOSED = "closed"
"""The state that PaymentConflict names for the payment of an order that came to nothing."""
LET_GO = "the payment was let go"
_ASKED = "asked:"

_RANKS: dict[IntentState, int] = {
    "created": 0,
    "pending": 1,
    "authorized": 2,
    "failed": 3,
    "voided": 3,
    # Money that was taken is a fact, whatever was believed before.
    "captured": 4,
}
_STATES: dict[Word, IntentState] = {
    "pending": "pending",
    "authorized": "authorized",
    "captured": "captured",
    "declined": "failed",
    "voided": "voided",
}

LOOKS = tuple(timedelta(seconds=seconds) for seconds in (5, 5, 10, 15, 30))
"""Pauses before asking a provider about a charge it has not settled; the last one repeats."""
RESEND_AFTER = timedelta(seconds=10)
"""How old a charge that never arrived must be before it is sent again: a call is given up after half of that."""
LOOKS_AT_AUTHORIZED = 3
"""How often an authorization is asked about, after a call about it was not answered."""
REFUND_TRIES = tuple(timedelta(seconds=seconds) for seconds in (5, 10, 20, 40, 80, 160, 300))
"""Pauses before a refund is tried again; the last one repeats."""
MOST_DECLINED_TRIES = 100
"""How often a closed order's refund is tried (for more than eight hours) before a person must see to it."""


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """The payment of an order as it is kept. Sums are minor units of `currency`; `token` is sealed, or empty."""

    order_id: Id
    payment_id: Id
    provider: str = ""
    request: str = ""
    token: str = ""
    amount: int = 0
    currency: str = ""
    mode: Mode = "charge"
    state: IntentState
    reference: str = ""
    reason: str = ""
    captured: int = 0
    refunding: int = 0
    refunded: int = 0
    is_closed: bool = False
    version: int = 1
    attempts: int = 0
    next_look_at: datetime | None = None
    created_at: datetime

    @property
    def is_payment(self) -> bool:
        """False for what only marks an order as closed before anybody paid for it."""
        return self.provider != ""

    @property
    def left(self) -> int:
        """What can still be given back."""
        return self.captured - self.refunded - self.refunding


class RefundRow(msgspec.Struct, frozen=True, kw_only=True):
    """A refund as it is kept. `key` is made of the caller's, or the closing's: unique within the order."""

    order_id: Id
    refund_id: Id
    key: str
    amount: int
    reason: str
    state: RefundState = "pending"
    answer: str = ""
    attempts: int = 0
    next_look_at: datetime | None
    created_at: datetime


def tombstone(*, order_id: Id, payment_id: Id, now: datetime) -> Intent:
    """What refuses every later charge for an order that was closed before one came."""
    return Intent(order_id=order_id, payment_id=payment_id, state="voided", is_closed=True, created_at=now)


def told(intent: Intent, *, state: Word, reference: str, reason: str, now: datetime) -> Intent:
    """The intent after the provider's word; the same one if that is old news, or comes too late."""
    heard = _STATES[state]
    if _RANKS[heard] <= _RANKS[intent.state]:
        return _looked_at(intent) if heard == intent.state else intent
    next_look_at = intent.next_look_at
    if heard == "authorized":
        next_look_at = now if intent.is_closed else None
    elif heard != "pending":
        next_look_at = None
    return msgspec.structs.replace(
        intent,
        state=heard,
        reference=reference or intent.reference,
        reason=reason or (LET_GO if heard == "voided" else ""),
        captured=intent.amount if heard == "captured" else 0,
        token=intent.token if heard == "pending" else "",
        next_look_at=next_look_at,
    )


def _looked_at(intent: Intent) -> Intent:
    """Looking at an authorization ends once the provider has confirmed it a few times: the call never arrived."""
    is_settled = intent.state == "authorized" and not intent.is_closed and intent.attempts >= LOOKS_AT_AUTHORIZED
    if is_settled and intent.next_look_at is not None:
        return msgspec.structs.replace(intent, next_look_at=None)
    return intent


def closed(intent: Intent, *, now: datetime) -> Intent:
    """The intent after its order came to nothing: what is not settled is to be voided at once."""
    if intent.is_closed:
        return intent
    is_open = intent.state in ("created", "pending", "authorized")
    return msgspec.structs.replace(
        intent, is_closed=True, attempts=0, next_look_at=now if is_open else intent.next_look_at
    )


def doubtful(intent: Intent, *, now: datetime) -> Intent:
    """The intent while a call about its authorization is under way, which may never be answered."""
    if intent.state != "authorized":
        return intent
    return msgspec.structs.replace(intent, attempts=0, next_look_at=now + LOOKS[0])


def looking(intent: Intent, *, now: datetime) -> Intent:
    """The intent once somebody has gone to ask the provider; the same one if it is not due (any more)."""
    if intent.next_look_at is None or intent.next_look_at > now:
        return intent
    pause = LOOKS[min(intent.attempts + 1, len(LOOKS) - 1)]
    return msgspec.structs.replace(intent, attempts=intent.attempts + 1, next_look_at=now + pause)


def may_resend(intent: Intent, *, now: datetime) -> bool:
    return intent.state in ("created", "pending") and not intent.is_closed and now - intent.created_at >= RESEND_AFTER


def refund_try_at(*, attempts: int, now: datetime) -> datetime:
    """When to try a refund again that has been tried so often."""
    return now + REFUND_TRIES[min(max(attempts, 1), len(REFUND_TRIES)) - 1]


def owes_all(before: Intent, after: Intent) -> bool:
    """Whether this change is the one after which everything captured goes back."""
    return after.is_closed and after.left > 0 and (not before.is_closed or after.captured > before.captured)


def asked_key(key: str) -> str:
    """The key of a refund that somebody asked for: never one of a closing."""
    return f"{_ASKED}{key}"


def is_asked(refund: RefundRow) -> bool:
    """Whether somebody asked for the refund, and so waits for how it ends."""
    return refund.key.startswith(_ASKED)


def closing_key(order_id: Id, *, instead_of: Id = "") -> str:
    """The key of the refund that closing an order causes: of all that is left, or in place of a declined one."""
    return f"close:{order_id}:{instead_of}" if instead_of else f"close:{order_id}"


def is_owed_anew(intent: Intent, declined: RefundRow) -> bool:
    """Whether a declined refund must be followed by another one: of a closed order, everything goes back."""
    return intent.is_closed and declined.attempts < MOST_DECLINED_TRIES


def promised(intent: Intent, amount: int) -> Intent:
    return msgspec.structs.replace(intent, refunding=intent.refunding + amount)


def given_back(intent: Intent, amount: int) -> Intent:
    return msgspec.structs.replace(intent, refunding=intent.refunding - amount, refunded=intent.refunded + amount)


def not_given_back(intent: Intent, amount: int) -> Intent:
    return msgspec.structs.replace(intent, refunding=intent.refunding - amount)


def refund_amount(intent: Intent | None, amount: Money | None) -> int:
    """How much a refund is. Raises NoSuchPayment, RefundInvalid, RefundTooLarge."""
    if intent is None or not intent.is_payment:
        raise NoSuchPayment()
    if amount is not None and amount.currency != intent.currency:
        raise RefundInvalid(reason=f"the payment is in {intent.currency}")
    if amount is not None and amount.amount <= 0:
        raise RefundInvalid(reason="a refund gives something back")
    asked = intent.left if amount is None else amount.amount
    if not 0 < asked <= intent.left:
        raise RefundTooLarge(refundable=intent.left)
    return asked


def must_match(intent: Intent, *, request: str) -> None:
    """Raises PaymentConflict if the order's payment was asked for in other terms, or the order was closed."""
    if not intent.is_payment:
        raise PaymentConflict(state=CLOSED)
    if intent.request != request:
        raise PaymentConflict(state=_shown(intent))


def must_stand(intent: Intent) -> None:
    """Raises PaymentDeclined or PaymentConflict if the payment came to nothing."""
    if intent.state == "failed":
        raise PaymentDeclined(reason=intent.reason)
    if intent.is_closed:
        raise PaymentConflict(state=CLOSED)
    if intent.state == "voided":
        raise PaymentConflict(state="voided")


def fact(before: Intent, after: Intent) -> Event | None:
    """What others must hear of the change."""
    if after.state == before.state:
        return None
    amount = Money(after.amount, after.currency)
    match after.state:
        case "captured":
            return PaymentCaptured(order_id=after.order_id, payment_id=after.payment_id, amount=amount)
        case "authorized":
            return PaymentAuthorized(order_id=after.order_id, payment_id=after.payment_id, amount=amount)
        case "failed" | "voided":
            return PaymentFailed(order_id=after.order_id, payment_id=after.payment_id, reason=after.reason)
        case _:
            return None


def refunded_fact(intent: Intent, refund: RefundRow) -> PaymentRefunded:
    """`intent` as it is with the refund."""
    return PaymentRefunded(
        order_id=intent.order_id,
        payment_id=intent.payment_id,
        refund_id=refund.refund_id,
        amount=Money(refund.amount, intent.currency),
        refunded=intent.refunded,
    )


def refund_failed_fact(intent: Intent, refund: RefundRow, *, reason: str) -> PaymentRefundFailed:
    """`reason` is the provider's word."""
    return PaymentRefundFailed(
        order_id=intent.order_id,
        payment_id=intent.payment_id,
        refund_id=refund.refund_id,
        amount=Money(refund.amount, intent.currency),
        reason=reason,
    )


def payment(intent: Intent, refunds: Sequence[RefundRow] = ()) -> Payment:
    """The payment as others see it. Raises NoSuchPayment for a mere mark."""
    if not intent.is_payment:
        raise NoSuchPayment()
    return Payment(
        id=intent.payment_id,
        order_id=intent.order_id,
        provider=intent.provider,
        state=_shown(intent),
        amount=Money(intent.amount, intent.currency),
        authorized=intent.amount if intent.state == "authorized" else 0,
        captured=intent.captured,
        refunded=intent.refunded,
        refunds=tuple(refund(row, intent.currency) for row in refunds),
        created_at=intent.created_at,
    )


def refund(row: RefundRow, currency: str) -> Refund:
    return Refund(
        id=row.refund_id,
        amount=Money(row.amount, currency),
        state=row.state,
        reason=row.reason,
        created_at=row.created_at,
    )


def _shown(intent: Intent) -> Any:
    return "pending" if intent.state == "created" else intent.state
