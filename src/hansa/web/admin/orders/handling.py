"""One order: what was bought, what happened to it, and what staff do: send it out, cancel it, give money back."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from hansa.kernel.errors import BusinessError, IdempotencyKeyReused
from hansa.kernel.money import Money
from hansa.platform.http.problems import status_of
from hansa.services.orders.contract import (
    FulfilmentDraft,
    FulfilmentLine,
    Order,
    OrderConflict,
    Orders,
    Parcel,
    RefundDraft,
    RefundTooLarge,
    TooMany,
)
from hansa.web.admin.fields import FieldsWrong, Reader, amount_text
from hansa.web.admin.orders.telling import told
from hansa.web.admin.shell import key_of, reason_of, shown
from hansa.web.forms import Form
from hansa.web.pages import Book, Page, Who
from hansa.web.storefront.addresses import written
from hansa.web.visit import Moved, Shown, Visit

SEND, RESTOCK = "send.", "restock."
LONGEST_REASON = 500
LONGEST_PARCEL = 80
MOST_PIECES = 10_000
REFUSALS = (OrderConflict, TooMany, RefundTooLarge, IdempotencyKeyReused)


def pages() -> Sequence[Page]:
    book = Book(who=Who.STAFF)

    @book.personal("admin/orders/{order_id}")
    async def order(visit: Visit, *, order_id: str) -> Shown:
        return await _show(visit, order_id)

    @book.act("admin/orders/{order_id}/cancel")
    async def cancel(visit: Visit, form: Form, *, order_id: str) -> Shown | Moved:
        try:
            await visit.client(Orders).cancel_for_staff(
                key=key_of(visit, form, f"cancel:{order_id}"), order_id=order_id, actor=visit.who.actor
            )
        except REFUSALS as error:
            return await _refused(visit, order_id, error)
        return _back(visit, order_id)

    @book.act("admin/orders/{order_id}/fulfilments")
    async def fulfil(visit: Visit, form: Form, *, order_id: str) -> Shown | Moved:
        try:
            draft = _fulfilment(visit, form)
            await visit.client(Orders).fulfil(
                key=key_of(visit, form, f"fulfil:{order_id}"), order_id=order_id, draft=draft, actor=visit.who.actor
            )
        except FieldsWrong as error:
            return await _show(visit, order_id, form=form, wrong=error.wrong, status=422)
        except REFUSALS as error:
            return await _refused(visit, order_id, error, form)
        return _back(visit, order_id)

    @book.act("admin/orders/{order_id}/refunds")
    async def refund(visit: Visit, form: Form, *, order_id: str) -> Shown | Moved:
        orders = visit.client(Orders)
        currency = (await orders.get_for_staff(order_id=order_id)).currency
        try:
            await orders.refund(
                key=key_of(visit, form, f"refund:{order_id}"),
                order_id=order_id,
                draft=_refund(form, currency),
                actor=visit.who.actor,
            )
        except FieldsWrong as error:
            return await _show(visit, order_id, form=form, wrong=error.wrong, status=422)
        except REFUSALS as error:
            return await _refused(visit, order_id, error, form)
        return _back(visit, order_id)

    return book.pages


def _back(visit: Visit, order_id: str) -> Moved:
    return Moved(to=visit.url(f"admin/orders/{order_id}", saved=1))


async def _refused(visit: Visit, order_id: str, error: BusinessError, form: Form | None = None) -> Shown:
    """The order as it is now, with what the service said and the form as it was filled."""
    return await _show(visit, order_id, form=form, failed=_why(visit, error), status=status_of(error))


def _why(visit: Visit, error: BusinessError) -> str:
    if isinstance(error, OrderConflict):
        status = visit.say_or(f"staff_order.status_{error.order_status}", error.order_status)
        return visit.say("staff_order.conflict", status=status)
    if isinstance(error, TooMany):
        return visit.say("staff_order.too_many", sku=error.sku, left=error.left)
    return reason_of(visit, error)


def _fulfilment(visit: Visit, form: Form) -> FulfilmentDraft:
    """Raises FieldsWrong."""
    lines = _pieces(form, SEND)
    if not lines:
        raise FieldsWrong({"send": "nothing_chosen"})
    carrier = form.get("carrier")[:LONGEST_PARCEL]
    number = form.get("tracking_number")[:LONGEST_PARCEL]
    parcels = (Parcel(carrier=carrier, tracking_number=number),) if carrier or number else ()
    location = form.get("location")
    locations = visit.site.channel.locations
    return FulfilmentDraft(lines=lines, parcels=parcels, location=location if location in locations else locations[0])


def _refund(form: Form, currency: str) -> RefundDraft:
    """Raises FieldsWrong."""
    reader = Reader({name: form.get(name) for name in ("amount", "reason")})
    amount = None
    if form.get("what") != "all":
        amount = reader.amount("amount", currency)
        if not amount:
            reader.wrong.setdefault("amount", "amount")
    reason = form.get("reason")
    if len(reason) > LONGEST_REASON:
        reader.wrong["reason"] = "too_long"
    reader.done()
    return RefundDraft(amount=amount, reason=reason, restock=_pieces(form, RESTOCK))


def _pieces(form: Form, prefix: str) -> tuple[FulfilmentLine, ...]:
    """How many pieces of which sku were named. Raises FieldsWrong."""
    lines = []
    for name, text in form.items():
        if not name.startswith(prefix) or text.strip() in ("", "0"):
            continue
        quantity = form.number(name)
        if quantity is None or not 1 <= quantity <= MOST_PIECES:
            raise FieldsWrong({name: "number"})
        lines.append(FulfilmentLine(sku=name.removeprefix(prefix), quantity=quantity))
    return tuple(lines)


async def _show(
    visit: Visit,
    order_id: str,
    *,
    form: Form | None = None,
    wrong: dict[str, str] | None = None,
    failed: str = "",
    status: int = 200,
) -> Shown:
    orders = visit.client(Orders)
    order = await orders.get_for_staff(order_id=order_id)
    history = await orders.history(order_id=order_id)
    left = {line.sku: line.quantity - line.fulfilled - line.cancelled for line in order.lines}
    refundable = sum(payment.captured - payment.refunded for payment in order.payments)
    return await shown(
        visit,
        "orders/detail.html",
        status=status,
        order=order,
        left=left,
        refundable=Money(refundable, order.currency),
        minor=lambda amount: Money(amount, order.currency),
        written=partial(written, visit),
        refundable_text=amount_text(refundable, order.currency),
        may=_may(order, left=left, refundable=refundable),
        history=[told(visit, order, entry) for entry in reversed(history)],
        is_out=any(line.fulfilled > line.returned for line in order.lines),
        sent=_sent(form),
        opened=_opened(form),
        wrong=wrong or {},
        failed=failed,
        locations=visit.site.channel.locations,
    )


def _may(order: Order, *, left: dict[str, int], refundable: int) -> dict[str, bool]:
    """What can be done; whether it still can when it is asked for is the service's to say."""
    is_sent = any(line.fulfilled for line in order.lines)
    return {
        "fulfil": order.status == "placed" and any(left.values()),
        "cancel": order.status in ("pending", "placed") and not is_sent,
        "refund": order.status in ("placed", "completed") and refundable > 0,
    }


def _sent(form: Form | None) -> dict[str, Any]:
    return {name: value for name, value in form.items() if name != "key"} if form else {}


def _opened(form: Form | None) -> str:
    """Which of the forms is to be shown open again."""
    if form is None:
        return ""
    return "refund" if form.has("what") else "fulfil"
