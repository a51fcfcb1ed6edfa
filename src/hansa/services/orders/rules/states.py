"""What comes of an order: payment, pieces, and time; each change makes the next version."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from msgspec.structs import replace

from hansa.services.orders.contract import (
    Fulfilment,
    FulfilmentDraft,
    FulfilmentLine,
    Order,
    OrderConflict,
    OrderLine,
    OrderPayment,
    TooMany,
)
from hansa.services.payments import contract as payments

RESERVATION_TTL = timedelta(minutes=15)
"""How long pieces are held for an order that is not placed."""
PAYMENT_LIMIT = timedelta(minutes=10)
"""How long an order waits for its payment; shorter than the reservation: a late payment finds its pieces."""
LONGEST_DOUBT = timedelta(days=1)
"""How long an order waits for payments that cannot be asked: not a short time, for the money may have been taken."""
FIRST_LOOK = timedelta(seconds=10)
"""After this an order that is still pending is looked after: whoever made it may have died."""
LONGEST_WAIT_S = 30
"""Between two looks after a pending order."""

CAPTURED = "captured"
DECLINED = payments.PaymentDeclined.code
BY_BUYER = "buyer"
BY_STAFF = "staff"


class Standing(NamedTuple):
    """How an order stands, as far as news of its payment are concerned."""

    status: str
    captured: int
    is_told: bool
    """Whether whoever placed it has an answer, so that nobody may be driving it any more."""
    created_at: datetime


def needs_news_of_capture(standing: Standing, *, amount: int, at: datetime) -> bool:
    """Whether an order must be told that its money was taken. Whoever has just placed it hears that from payments
    itself; should they die meanwhile, it is looked after at its first look."""
    if standing.captured >= amount:
        return False
    is_being_driven = not standing.is_told and standing.created_at <= at < standing.created_at + FIRST_LOOK
    return standing.status != "pending" or not is_being_driven


def is_paid(order: Order) -> bool:
    return order.payments[0].state == CAPTURED


def payment_of(payment: payments.Payment) -> OrderPayment:
    return OrderPayment(
        provider=payment.provider,
        state=payment.state,
        amount=payment.amount,
        authorized=payment.authorized,
        captured=payment.captured,
        refunded=payment.refunded,
    )


def captured(order: Order, *, amount: int) -> OrderPayment:
    """The order's payment once the money has been taken."""
    return replace(order.payments[0], state=CAPTURED, authorized=amount, captured=amount)


def paid(order: Order, *, payment: OrderPayment, at: datetime) -> Order:
    """The order with the news of its payment. They come in any order: what was taken is not untaken."""
    known = order.payments[0]
    if known.state == CAPTURED and payment.state != CAPTURED:
        return order
    news = replace(
        known,
        state=payment.state,
        authorized=max(known.authorized, payment.authorized),
        captured=max(known.captured, payment.captured),
    )
    return order if news == known else _changed(order, at, payments=(news,))


def placed(order: Order, *, payment: OrderPayment, at: datetime) -> Order:
    return _changed(paid(order, payment=payment, at=at), at, status="placed")


def rejected(order: Order, *, reason: str, at: datetime) -> Order:
    return _changed(
        order, at, status="rejected", reason=reason, lines=_cancelled_lines(order), payments=_let_go(order, reason)
    )


def cancelled(order: Order, *, by: str, at: datetime) -> Order:
    """Raises OrderConflict unless the order is pending, or placed and nothing of it was sent."""
    is_whole = not any(line.fulfilled for line in order.lines)
    if order.status not in ("pending", "placed") or not is_whole:
        raise OrderConflict(order_status=order.status)
    return _changed(
        order, at, status="cancelled", reason=by, lines=_cancelled_lines(order), payments=_let_go(order, by)
    )


def _cancelled_lines(order: Order) -> tuple[OrderLine, ...]:
    return tuple(replace(line, cancelled=line.quantity) for line in order.lines)


def _let_go(order: Order, reason: str) -> tuple[OrderPayment, ...]:
    """What has not been taken will not be; if it is taken all the same, payments gives it back."""
    payment = order.payments[0]
    if payment.state == CAPTURED:
        return order.payments
    return (replace(payment, state="failed" if reason == DECLINED else "voided"),)


def fulfilled(order: Order, *, draft: FulfilmentDraft, fulfilment_id: str, at: datetime) -> Order:
    """The order with pieces sent out; completed when none is left.

    Raises OrderConflict unless it is placed, TooMany for more pieces than are left.
    """
    if order.status != "placed":
        raise OrderConflict(order_status=order.status)
    left = {line.sku: line.quantity - line.fulfilled - line.cancelled for line in order.lines}
    sent = pieces_by_sku((line.sku, line.quantity) for line in draft.lines) if draft.lines else Counter(left)
    _check(sent, left)
    lines = tuple(replace(line, fulfilled=line.fulfilled + sent[line.sku]) for line in order.lines)
    fulfilment = Fulfilment(
        id=fulfilment_id,
        location=draft.location,
        method=order.delivery.method,
        state="shipped",
        parcels=draft.parcels,
        lines=tuple(FulfilmentLine(sku=sku, quantity=quantity) for sku, quantity in sent.items() if quantity),
        created_at=at,
    )
    is_complete = all(line.fulfilled + line.cancelled == line.quantity for line in lines)
    return _changed(
        order,
        at,
        status="completed" if is_complete else order.status,
        lines=lines,
        fulfilments=(*order.fulfilments, fulfilment),
    )


def check_refundable(order: Order) -> None:
    """Raises OrderConflict: what is rejected or cancelled is paid back by itself."""
    if order.status not in ("placed", "completed"):
        raise OrderConflict(order_status=order.status)


def returned(order: Order, *, restock: Sequence[FulfilmentLine], at: datetime) -> Order:
    """The order with pieces come back. Raises TooMany for more than were sent and are not back yet."""
    back = pieces_by_sku((line.sku, line.quantity) for line in restock)
    _check(back, {line.sku: line.fulfilled - line.returned for line in order.lines})
    return _changed(
        order, at, lines=tuple(replace(line, returned=line.returned + back[line.sku]) for line in order.lines)
    )


def not_returned(order: Order, *, restock: Sequence[FulfilmentLine], at: datetime) -> Order:
    """The order as before `returned`: the refund that the pieces came back for was refused."""
    back = pieces_by_sku((line.sku, line.quantity) for line in restock)
    return _changed(
        order, at, lines=tuple(replace(line, returned=line.returned - back[line.sku]) for line in order.lines)
    )


def touched(order: Order, *, at: datetime) -> Order:
    """The order when something has changed that belongs to it, such as a refund."""
    return _changed(order, at)


def _changed(order: Order, at: datetime, **changes: Any) -> Order:
    return replace(order, version=order.version + 1, updated_at=at, **changes)


def pieces_by_sku(lines: Iterable[tuple[str, int]]) -> Counter[str]:
    """Lines as pieces per sku: a sku named twice is one line."""
    pieces: Counter[str] = Counter()
    for sku, quantity in lines:
        pieces[sku] += quantity
    return pieces


def _check(wanted: Counter[str], left: dict[str, int]) -> None:
    for sku, quantity in wanted.items():
        if quantity > left.get(sku, 0):
            raise TooMany(sku=sku, left=left.get(sku, 0))


def reserved_until(order: Order) -> datetime:
    return order.created_at + RESERVATION_TTL


def is_overdue(order: Order, *, at: datetime) -> bool:
    return at > order.created_at + PAYMENT_LIMIT


def is_given_up(order: Order, *, at: datetime) -> bool:
    """Whether payments could not be asked for so long that nobody waits any more; money that was taken goes back."""
    return at > order.created_at + LONGEST_DOUBT


def next_look(*, attempts: int, at: datetime) -> datetime:
    """When to look after something again that was not over after so many looks."""
    return at + timedelta(seconds=min(2 ** min(attempts + 1, 10), LONGEST_WAIT_S))
