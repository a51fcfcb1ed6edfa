"""What a buyer may ask for."""

from typing import Annotated

import msgspec

from hansa.kernel.address import Address, Email
from hansa.kernel.money import Currency

MOST_LINES = 100
Quantity = Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class LineDraft(msgspec.Struct, frozen=True, kw_only=True):
    """Some pieces of a sku."""

    sku: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    quantity: Quantity


class PaymentDraft(msgspec.Struct, frozen=True, kw_only=True):
    """How the buyer pays: a provider and the token its own form handed out."""

    provider: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    token: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """How the goods travel: the code of a shipping option; place and time where the method has them."""

    method: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    location_id: Annotated[str, msgspec.Meta(max_length=40)] | None = None
    slot_id: Annotated[str, msgspec.Meta(max_length=40)] | None = None


class OrderDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What a buyer asks for: a cart or lines, never both. Prices are the server's.

    `quote` is the fingerprint of the quote the buyer was shown; a different one now is QuoteChanged.
    """

    email: Email
    shipping_address: Address
    payment: PaymentDraft
    cart_id: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] | None = None
    lines: Annotated[tuple[LineDraft, ...], msgspec.Meta(max_length=MOST_LINES)] | None = None
    delivery: Delivery | None = None
    billing_address: Address | None = None
    currency: Currency | None = None
    quote: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class FlashDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What a member asks for at a flash sale. Sku, price and currency are the sale's; `ticket` is the member's own."""

    email: Email
    shipping_address: Address
    payment: PaymentDraft
    ticket: Annotated[str, msgspec.Meta(max_length=200)] = ""
    quantity: Quantity = 1
    delivery: Delivery | None = None
    billing_address: Address | None = None
    quote: Annotated[str, msgspec.Meta(max_length=64)] | None = None
