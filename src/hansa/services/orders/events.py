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
    """In the language of the order."""
    quantity: int
    """Pieces."""
    unit_price: Money
    """Of one piece."""
    total: Money
    """Of all of them, before what the steps add or take."""
    seller_id: str
    """Whose goods they are; `shop` for the shop's own."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step from subtotal to total; an included one explains prices and adds nothing."""

    kind: str
    """Such as `discount`, `shipping` or `tax`."""
    name: str
    """For people, in the language of the order."""
    amount: Money
    """Below zero for what is taken off."""
    included: bool
    """Whether it is in the prices already."""


class OrderPlaced(Event, frozen=True, kw_only=True):
    """Money is certain and the pieces are sold."""

    type: ClassVar[str] = "orders.order_placed.v1"

    order_id: Id
    number: str
    """As the buyer sees it."""
    cart_id: Id | None
    """The cart that became the order; null for what was bought at once."""
    lines: tuple[SoldLine, ...]
    subtotal: Money
    """Of the lines."""
    steps: tuple[Step, ...] = ()
    """From the subtotal to the total."""
    total: Money
    """What the buyer pays."""
    locale: str
    """The language of the order (BCP 47)."""
    person: str
    """A pseudonym of the buyer: a member's id, or a guest's."""
    contact: str
    """Sealed `Contact` under `person`, context "orders.contact"."""


class OrderRejected(Event, frozen=True, kw_only=True):
    """The order came to nothing: pieces and money, if any, go back."""

    type: ClassVar[str] = "orders.order_rejected.v1"

    order_id: Id
    reason: str
    """The code of the error, such as `inventory.out_of_stock`."""
    flash_sale: Id | None = None
    """Where the pieces came from, if from a flash sale."""


class OrderCancelled(Event, frozen=True, kw_only=True):
    """Buyer or staff cancelled: pieces and money go back."""

    type: ClassVar[str] = "orders.order_cancelled.v1"

    order_id: Id
    reason: str
    """Who cancelled it."""
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
    """Whether nothing is left to be sent."""
