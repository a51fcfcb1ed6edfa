"""Every way orders may say no."""

from hansa.kernel.errors import BusinessError, Kind
from hansa.kernel.money import Money


class NoSuchOrder(BusinessError, code="orders.not_found", kind=Kind.NOT_FOUND):
    """There is no such order, or it is somebody else's."""


class NotFollowable(BusinessError, code="orders.not_followable", kind=Kind.CONFLICT):
    """This shop has no broker through which orders can be followed: ask for the order again instead."""


class NoSuchCart(BusinessError, code="orders.cart_not_found", kind=Kind.NOT_FOUND):
    """There is no such cart, or it is somebody else's."""


class InvalidDraft(BusinessError, code="orders.draft_invalid", kind=Kind.INVALID):
    """The draft contradicts itself; `pointer` names the part and `reason` says why."""

    pointer: str
    reason: str


class CartEmpty(BusinessError, code="orders.cart_empty", kind=Kind.INVALID):
    """There is nothing to order."""


class CartOrdered(BusinessError, code="orders.cart_ordered", kind=Kind.CONFLICT):
    """The cart has become an order already."""


class NotForSale(BusinessError, code="orders.not_for_sale", kind=Kind.CONFLICT):
    """A sku is unknown, archived, or has no price in this currency."""

    sku: str
    currency: str


class OutOfStock(BusinessError, code="inventory.out_of_stock", kind=Kind.CONFLICT):
    """There are not enough pieces; `left` can still be had."""

    sku: str
    left: int


class QuoteChanged(BusinessError, code="orders.quote_changed", kind=Kind.CONFLICT):
    """Prices have changed since they were shown; show the new total and ask again."""

    total: Money
    fingerprint: str


class NotDeliverable(BusinessError, code="orders.not_deliverable", kind=Kind.UNPROCESSABLE):
    """Nothing is delivered there that way."""

    country: str


class AddressIncomplete(BusinessError, code="orders.address_incomplete", kind=Kind.INVALID):
    """The country's addresses need a field that is missing or malformed."""

    field: str
    pointer: str


class NoSuchProvider(BusinessError, code="payments.provider_unknown", kind=Kind.INVALID):
    """The shop does not take payments through this provider."""

    provider: str


class PaymentDeclined(BusinessError, code="payments.declined", kind=Kind.PAYMENT_REQUIRED):
    """The provider refused; the order is rejected and nothing is held."""

    order_id: str
    reason: str = ""


class OrderConflict(BusinessError, code="orders.conflict", kind=Kind.CONFLICT):
    """The order's state does not allow this."""

    order_status: str


class TooMany(BusinessError, code="orders.too_many", kind=Kind.CONFLICT):
    """More pieces than the order has left to fulfil or to return."""

    sku: str
    left: int


class RefundTooLarge(BusinessError, code="payments.refund_too_large", kind=Kind.CONFLICT):
    """More than what was captured and not yet refunded; `refundable` minor units are left."""

    refundable: int
