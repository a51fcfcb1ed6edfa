"""What has happened to orders. Bodies hold no personal data in the clear; `contact` is sealed under `person`."""

from typing import ClassVar

import msgspec

from hansa.kernel.event import Event
from hansa.kernel.ids import Id
from hansa.kernel.money import Money


class SoldLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line as sold."""

    sku: str
    product_id: Id
    name: str
    quantity: int
    unit_price: Money
    total: Money
    seller_id: str


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step from subtotal to total; an included one explains prices and adds nothing."""

    kind: str
    name: str
    amount: Money
    included: bool


class OrderPlaced(Event, frozen=True, kw_only=True):
    """Money is certain and the pieces are sold."""

    type: ClassVar[str] = "orders.order_placed.v1"

    order_id: Id
    number: str
    cart_id: Id | None
    lines: tuple[SoldLine, ...]
    subtotal: Money
    steps: tuple[Step, ...] = ()
    total: Money
    locale: str
    person: str
    contact: str
    """Sealed `Contact` under `person`, context "orders.contact"."""


class OrderRejected(Event, frozen=True, kw_only=True):
    """The order came to nothing: pieces and money, if any, go back."""

    type: ClassVar[str] = "orders.order_rejected.v1"

    order_id: Id
    reason: str
    flash_sale: Id | None = None
    """Where the pieces came from, if from a flash sale."""


class OrderCancelled(Event, frozen=True, kw_only=True):
    """Buyer or staff cancelled: pieces and money go back."""

    type: ClassVar[str] = "orders.order_cancelled.v1"

    order_id: Id
    reason: str
    flash_sale: Id | None = None
    """Where the pieces came from, if from a flash sale."""


class OrderFulfilled(Event, frozen=True, kw_only=True):
    """Some pieces were sent out."""

    type: ClassVar[str] = "orders.order_fulfilled.v1"

    order_id: Id
    fulfilment_id: Id
    lines: dict[str, int]
    """Pieces by sku."""
    is_complete: bool
