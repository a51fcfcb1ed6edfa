"""What a draft asks for, and the order that a quote makes of it."""

from datetime import datetime

from msgspec.structs import replace

from hansa.kernel.errors import BusinessError
from hansa.kernel.ids import order_number, slot_of, slot_of_value
from hansa.services.carts import contract as carts
from hansa.services.orders.contract import (
    AddressIncomplete,
    Adjustment,
    CartEmpty,
    CartOrdered,
    Contact,
    Delivery,
    InvalidDraft,
    NoSuchCart,
    NotDeliverable,
    NotForSale,
    Order,
    OrderDraft,
    OrderLine,
    OrderPayment,
)
from hansa.services.orders.rules.states import pieces_by_sku
from hansa.services.shipping import contract as shipping

MOST_PIECES = 10_000
"""Of one sku in an order."""


def lines_of(draft: OrderDraft) -> tuple[carts.CartLine, ...] | None:
    """The draft's own lines, each sku once; None if a cart is to be ordered.

    Raises CartEmpty if there is nothing to order, InvalidDraft for both a cart and lines or for too many pieces.
    """
    if draft.cart_id is not None:
        if draft.lines is not None:
            raise InvalidDraft(pointer="/lines", reason="name a cart or lines, not both")
        return None
    if not draft.lines:
        raise CartEmpty()
    pieces = pieces_by_sku((line.sku, line.quantity) for line in draft.lines)
    for sku, quantity in pieces.items():
        if quantity > MOST_PIECES:
            raise InvalidDraft(pointer="/lines", reason=f"more than {MOST_PIECES} pieces of {sku}")
    return tuple(carts.CartLine(sku=sku, quantity=quantity) for sku, quantity in pieces.items())


def currency_asked_for(draft: OrderDraft, *, currency: str) -> str | None:
    """The draft's own, else the request's; None where the cart decides."""
    return draft.currency or (currency if draft.cart_id is None else None)


def slot_for_key(*, key: str, member: str | None) -> int:
    return slot_of(member) if member is not None else slot_of_value(key)


def slot_for_order(*, key: str, member: str | None, basket: carts.Basket | None) -> int:
    """The member's, else the cart's, else the key's."""
    if member is None and basket is not None:
        return basket.slot
    return slot_for_key(key=key, member=member)


def translated(error: BusinessError) -> BusinessError:
    """What orders say when a neighbour says no to a draft."""
    match error:
        case carts.NoSuchCart():
            return NoSuchCart()
        case carts.CartClosed():
            return CartOrdered()
        case carts.NotForSale(sku=sku, currency=currency):
            return NotForSale(sku=sku, currency=currency)
        case carts.DeliveryNotOffered(country=country) | shipping.NotDelivered(country=country):
            return NotDeliverable(country=country)
        case shipping.AddressIncomplete(field=field, pointer=pointer):
            return AddressIncomplete(field=field, pointer=pointer)
    return error


def opened(*, order_id: str, quote: carts.Quote, draft: OrderDraft, locale: str, channel: str, at: datetime) -> Order:
    """A new pending order: the quote, kept for good, and no personal data."""
    nobody = Contact.erased(order=order_id, country=draft.shipping_address.country)
    payment = OrderPayment(
        provider=draft.payment.provider, state="pending", amount=quote.total, authorized=0, captured=0, refunded=0
    )
    return Order(
        id=order_id,
        number=order_number(order_id),
        status="pending",
        lines=tuple(_line(line) for line in quote.lines),
        subtotal=quote.subtotal,
        adjustments=tuple(_adjustment(adjustment) for adjustment in quote.adjustments),
        total=quote.total,
        fulfilments=(),
        payments=(payment,),
        refunds=(),
        currency=quote.currency,
        locale=locale,
        channel=channel,
        email=nobody.email,
        shipping_address=nobody.shipping_address,
        billing_address=None,
        delivery=_delivery(draft, quote),
        reason=None,
        review="",
        next_action=None,
        version=1,
        created_at=at,
        updated_at=at,
    )


def _line(line: carts.QuoteLine) -> OrderLine:
    return OrderLine(
        sku=line.sku,
        product_id=line.product_id,
        name=line.name,
        options=line.options,
        quantity=line.quantity,
        unit_price=line.unit_price,
        total=line.total,
        tax_class=line.tax_class,
        seller_id=line.seller_id,
    )


def _adjustment(adjustment: carts.Adjustment) -> Adjustment:
    return Adjustment(
        kind=adjustment.kind,
        code=adjustment.code,
        name=adjustment.name,
        basis=adjustment.basis,
        rate_ppm=adjustment.rate_ppm,
        amount=adjustment.amount,
        included=adjustment.included,
        line=adjustment.line,
        source=adjustment.source,
    )


def _delivery(draft: OrderDraft, quote: carts.Quote) -> Delivery:
    chosen = draft.delivery or Delivery(method=quote.delivery or "none")
    return replace(chosen, method=quote.delivery or chosen.method)
