"""What is said about an order: to its buyer, again with the same key, and in events."""

import msgspec
from msgspec.structs import replace

from hansa.kernel.errors import BusinessError, ErrorRecord, Kind, record_error, revive_error
from hansa.services.inventory import contract as inventory
from hansa.services.orders.contract import (
    BUY_ERRORS,
    Contact,
    NoSuchProvider,
    Order,
    OrderConflict,
    OutOfStock,
    PaymentDeclined,
)
from hansa.services.orders.contract.flash import FLASH_ERRORS
from hansa.services.orders.events import OrderCancelled, OrderFulfilled, OrderPlaced, OrderRejected, SoldLine, Step
from hansa.services.orders.rules import flash
from hansa.services.payments import contract as payments


class Overdue(BusinessError, code="orders.payment_overdue", kind=Kind.CONFLICT):
    """The order has waited too long for its payment. A reason to reject it; nobody is told in these words."""


class Refusal(msgspec.Struct, frozen=True):
    """Why an order comes to nothing, and what its buyer is told."""

    reason: str
    error: ErrorRecord


class Answer(msgspec.Struct, frozen=True):
    """What somebody was told the first time, as it is kept: without personal data."""

    order: Order | None = None
    error: ErrorRecord | None = None


def refusal(error: BusinessError, *, order_id: str) -> Refusal:
    """Why the order is rejected when a neighbour says no, and what its buyer is told."""
    told: BusinessError
    match error:
        case inventory.OutOfStock(sku=sku, left=left):
            told = OutOfStock(sku=sku, left=left)
        case payments.PaymentDeclined(reason=reason):
            told = PaymentDeclined(order_id=order_id, reason=reason)
        case payments.NoSuchProvider(provider=provider):
            told = NoSuchProvider(provider=provider)
        case _:
            told = flash.translated(error)
            if not isinstance(told, FLASH_ERRORS):
                told = OrderConflict(order_status="rejected")
    return Refusal(reason=error.code, error=record_error(told))


def kept(answer: Order | ErrorRecord) -> str:
    """An answer as it is kept. The order is one without personal data, as the store gives it."""
    told = Answer(order=answer) if isinstance(answer, Order) else Answer(error=answer)
    return msgspec.json.encode(told).decode()


def replayed(answer: str | None, *, contact: Contact, declared: tuple[type[BusinessError], ...] = BUY_ERRORS) -> Order:
    """The answer again, with whom it concerns filled in, or the error again."""
    told = msgspec.json.decode(answer or "{}", type=Answer)
    if told.order is not None:
        return shown(told.order, contact=contact)
    assert told.error is not None, "an answer is an order or an error"
    error = revive_error(told.error, declared)
    if isinstance(error, PaymentDeclined):
        error.order_id = contact.order
    raise error


def for_staff(order: Order, contact: Contact) -> Contact:
    """The contact without a guest's secret: staff need no possession."""
    return replace(contact, order=order.id)


def shown(order: Order, *, contact: Contact) -> Order:
    """The order with whom it concerns filled in."""
    return replace(
        order,
        id=contact.order,
        email=contact.email,
        shipping_address=contact.shipping_address,
        billing_address=contact.billing_address,
    )


def order_placed(order: Order, *, cart_id: str | None, person: str, contact: str) -> OrderPlaced:
    return OrderPlaced(
        order_id=order.id,
        number=order.number,
        cart_id=cart_id,
        lines=tuple(
            SoldLine(
                sku=line.sku,
                product_id=line.product_id,
                name=line.name,
                quantity=line.quantity,
                unit_price=line.unit_price,
                total=line.total,
                seller_id=line.seller_id,
            )
            for line in order.lines
        ),
        subtotal=order.subtotal,
        steps=tuple(
            Step(kind=step.kind, name=step.name, amount=step.amount, included=step.included)
            for step in order.adjustments
        ),
        total=order.total,
        locale=order.locale,
        person=person,
        contact=contact,
    )


def order_rejected(order: Order) -> OrderRejected:
    return OrderRejected(order_id=order.id, reason=order.reason or "", flash_sale=flash.sale_of(order))


def order_cancelled(order: Order) -> OrderCancelled:
    return OrderCancelled(order_id=order.id, reason=order.reason or "", flash_sale=flash.sale_of(order))


def order_fulfilled(order: Order) -> OrderFulfilled:
    """About the latest fulfilment."""
    fulfilment = order.fulfilments[-1]
    return OrderFulfilled(
        order_id=order.id,
        fulfilment_id=fulfilment.id,
        lines={line.sku: line.quantity for line in fulfilment.lines},
        is_complete=order.status == "completed",
    )
