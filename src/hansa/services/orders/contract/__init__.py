"""What may be asked of orders, and every way orders may say no."""

from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

import msgspec

from hansa.kernel.address import Address
from hansa.kernel.contract import Key, command, query
from hansa.kernel.ids import Id
from hansa.kernel.money import Currency, Money
from hansa.kernel.page import CursorInvalid, Limit, Page
from hansa.services.orders.contract.drafts import MOST_LINES as MOST_LINES
from hansa.services.orders.contract.drafts import Delivery as Delivery
from hansa.services.orders.contract.drafts import FlashDraft as FlashDraft
from hansa.services.orders.contract.drafts import LineDraft as LineDraft
from hansa.services.orders.contract.drafts import OrderDraft as OrderDraft
from hansa.services.orders.contract.drafts import PaymentDraft as PaymentDraft
from hansa.services.orders.contract.drafts import Quantity as Quantity
from hansa.services.orders.contract.errors import AddressIncomplete as AddressIncomplete
from hansa.services.orders.contract.errors import CartEmpty as CartEmpty
from hansa.services.orders.contract.errors import CartOrdered as CartOrdered
from hansa.services.orders.contract.errors import InvalidDraft as InvalidDraft
from hansa.services.orders.contract.errors import NoSuchCart as NoSuchCart
from hansa.services.orders.contract.errors import NoSuchOrder as NoSuchOrder
from hansa.services.orders.contract.errors import NoSuchProvider as NoSuchProvider
from hansa.services.orders.contract.errors import NotDeliverable as NotDeliverable
from hansa.services.orders.contract.errors import NotFollowable as NotFollowable
from hansa.services.orders.contract.errors import NotForSale as NotForSale
from hansa.services.orders.contract.errors import OrderConflict as OrderConflict
from hansa.services.orders.contract.errors import OutOfStock as OutOfStock
from hansa.services.orders.contract.errors import PaymentDeclined as PaymentDeclined
from hansa.services.orders.contract.errors import QuoteChanged as QuoteChanged
from hansa.services.orders.contract.errors import RefundTooLarge as RefundTooLarge
from hansa.services.orders.contract.errors import TooMany as TooMany
from hansa.services.orders.contract.flash import FLASH_ERRORS
from hansa.services.orders.contract.following import FollowPass as FollowPass

Status = Literal["pending", "placed", "rejected", "cancelled", "completed"]
Sorting = Literal["newest", "oldest"]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""With its offset from UTC."""
Search = Annotated[str, msgspec.Meta(max_length=100)]
"""An order's number, with or without its hyphens and its check character, or its id, or a guest's name for it."""
MOST_COUNTED = 10_000


CONTACT_CONTEXT = "orders.contact"
"""The context under which a `Contact` is sealed (see security.sealing)."""
BLANK = "-"


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """Whom an order belongs to and where it goes: never at rest or under way but sealed under the order's person.

    `order` is what its owner calls the order: the id, and for a guest the secret too.
    """

    order: str
    email: str
    shipping_address: Address
    billing_address: Address | None = None

    @classmethod
    def erased(cls, *, order: str, country: str) -> "Contact":
        """What stands where the person has been erased, or is nobody's business."""
        blank = Address(name=BLANK, line1=BLANK, city=BLANK, country=country)
        return cls(order=order, email=BLANK, shipping_address=blank)


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line with the snapshot of what was sold, and how many pieces are where in their life."""

    sku: str
    product_id: Id
    name: str
    options: dict[str, str]
    quantity: int
    unit_price: Money
    total: Money
    tax_class: str
    seller_id: str
    fulfilled: int = 0
    returned: int = 0
    cancelled: int = 0


class Adjustment(msgspec.Struct, frozen=True, kw_only=True):
    """One step from subtotal to total, as the quote explained it (see carts)."""

    kind: str
    code: str
    name: str
    basis: Money
    rate_ppm: int | None
    amount: Money
    included: bool
    line: str | None
    source: str


class FulfilmentLine(msgspec.Struct, frozen=True, kw_only=True):
    """Some pieces of an order's line."""

    sku: str
    quantity: Quantity


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """A parcel and where it can be followed."""

    carrier: Annotated[str, msgspec.Meta(max_length=80)] = ""
    tracking_number: Annotated[str, msgspec.Meta(max_length=80)] = ""


class Fulfilment(msgspec.Struct, frozen=True, kw_only=True):
    """Pieces that went out together."""

    id: Id
    location: str
    method: str
    state: Literal["shipped", "delivered", "returned"]
    parcels: tuple[Parcel, ...]
    lines: tuple[FulfilmentLine, ...]
    created_at: datetime


class OrderPayment(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the payment; sums in minor units of `amount.currency`."""

    provider: str
    state: str
    amount: Money
    authorized: int
    captured: int
    refunded: int


class OrderRefund(msgspec.Struct, frozen=True, kw_only=True):
    """Money on its way back, or back."""

    id: Id
    amount: Money
    state: str
    reason: str
    created_at: datetime


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order as its buyer and staff see it.

    `id` of a guest's order bears 80 random bits: possession is the right to it, so staff are shown the bare id.
    `total = subtotal + sum of adjustments that are not included`. `next_action` is what the buyer must still do for the
    payment, if anything. Of a person who has been erased only the country is left, and dashes.
    """

    id: str
    number: str
    status: Status
    lines: tuple[OrderLine, ...]
    subtotal: Money
    adjustments: tuple[Adjustment, ...]
    total: Money
    fulfilments: tuple[Fulfilment, ...]
    payments: tuple[OrderPayment, ...]
    refunds: tuple[OrderRefund, ...]
    currency: Currency
    locale: str
    channel: str
    email: str
    shipping_address: Address
    billing_address: Address | None
    delivery: Delivery
    reason: str | None
    """Why a rejected or cancelled order came to that: the code of the error, or who cancelled."""
    review: str
    next_action: dict[str, Any] | None
    version: int
    created_at: datetime
    updated_at: datetime


class OrderSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An order in a list: no personal data."""

    id: str
    number: str
    status: Status
    total: Money
    pieces: int
    created_at: datetime


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to an order, when, and who did it: no personal data.

    `actor` is "user:<id>" (a member of the staff, or the buyer), "guest", or "shop" for what happens by itself.
    `detail` by `kind`:
    created, placed, completed: nothing. payment: `state`, `captured`. rejected: `reason`. cancelled: `by` (buyer or
    staff). fulfilled: `fulfilment_id`, `lines` (pieces by sku), `parcels`. returned: `lines`, of which some are below
    zero where pieces counted as returned were not, since their refund was refused. refund_asked: `amount` (None: all
    that is left), `reason`. refund_refused: `code`. refunded, refund_failed: `refund_id`, `amount`. Amounts are minor
    units of the order's currency.
    """

    at: datetime
    kind: Literal[
        "created",
        "payment",
        "placed",
        "rejected",
        "cancelled",
        "fulfilled",
        "completed",
        "returned",
        "refund_asked",
        "refund_refused",
        "refunded",
        "refund_failed",
    ]
    actor: str
    detail: dict[str, Any]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """How the shop stands, at a glance.

    `placed` counts the orders made since the moment asked for that were placed, whether completed or not, and
    `revenue` sums their totals in minor units by currency, refunds not taken off. If more than `MOST_COUNTED` orders
    were made since, both are of the latest of these, and `is_complete` is false. `pending` and `to_fulfil` (placed, and
    not all was sent) are of any age and count no further than that either.
    """

    placed: int
    pending: int
    to_fulfil: int
    revenue: dict[Currency, int]
    is_complete: bool


class FulfilmentDraft(msgspec.Struct, frozen=True, kw_only=True):
    """Pieces to be sent out; without lines, all that is left."""

    lines: Annotated[tuple[FulfilmentLine, ...], msgspec.Meta(max_length=MOST_LINES)] = ()
    parcels: Annotated[tuple[Parcel, ...], msgspec.Meta(max_length=50)] = ()
    location: Annotated[str, msgspec.Meta(max_length=40)] = "main"


class RefundDraft(msgspec.Struct, frozen=True, kw_only=True):
    """Money to be given back: an amount in minor units of the order's currency, or all that is left (None).

    `restock` names pieces that came back and are for sale again.
    """

    amount: Annotated[int, msgspec.Meta(ge=1, le=10**15)] | None = None
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""
    restock: Annotated[tuple[FulfilmentLine, ...], msgspec.Meta(max_length=MOST_LINES)] = ()


PLACE_ERRORS = (
    InvalidDraft,
    NoSuchCart,
    CartEmpty,
    CartOrdered,
    NotForSale,
    OutOfStock,
    QuoteChanged,
    NotDeliverable,
    AddressIncomplete,
    NoSuchProvider,
    PaymentDeclined,
    OrderConflict,
)
BUY_ERRORS = (*PLACE_ERRORS, *FLASH_ERRORS)


class Orders(Protocol):
    """Orders. `member` is the asking user's id, None for a guest; staff ask through the methods that say so."""

    @command(errors=PLACE_ERRORS, timeout_ms=20_000)
    async def place(self, *, key: Key, draft: OrderDraft, member: str | None, locale: str, currency: str) -> Order:
        """Quote, reserve, charge, record: `placed`, or `pending` where the payment is not certain yet, or an error and
        nothing held. The same key gives the first answer; the same key for another draft is refused."""
        ...

    @command(errors=BUY_ERRORS, timeout_ms=30_000)
    async def buy(self, *, key: Key, sale_id: Id, draft: FlashDraft, member: Id, locale: str) -> Order:
        """As `place`, for pieces of a flash sale at its price and in its currency: waits in its line for at most 8
        seconds, and is then told the place in it. What is not paid for goes back to the sale."""
        ...

    @query(errors=(NoSuchOrder,))
    async def get(self, *, order: str, member: str | None) -> Order: ...

    @query(errors=(NoSuchOrder, NotFollowable))
    async def follow(self, *, order: str, member: str | None) -> FollowPass:
        """A pass to hear of one's own order as it goes on, without asking. Each is another one."""
        ...

    @query(errors=(CursorInvalid,))
    async def list(self, *, member: str, limit: Limit = 20, cursor: str | None = None) -> Page[OrderSummary]:
        """A member's orders, newest first."""
        ...

    @command(errors=(NoSuchOrder, OrderConflict), timeout_ms=10_000)
    async def cancel(self, *, key: Key, order: str, member: str | None) -> Order:
        """Cancel what is pending or placed and of which nothing was sent: stock and money go back."""
        ...

    @command(errors=(NoSuchOrder, OrderConflict), timeout_ms=10_000)
    async def cancel_for_staff(self, *, key: Key, order_id: str, actor: str) -> Order:
        """As cancel, for anybody's order; leaves an audit row."""
        ...

    @query(errors=(NoSuchOrder,))
    async def get_for_staff(self, *, order_id: str) -> Order: ...

    @query(errors=(CursorInvalid,))
    async def list_for_staff(
        self,
        *,
        status: Status | None = None,
        q: Search | None = None,
        placed_from: Moment | None = None,
        placed_to: Moment | None = None,
        order: Sorting = "newest",
        limit: Limit = 20,
        cursor: str | None = None,
    ) -> Page[OrderSummary]:
        """All orders, or those that meet every condition given: `q` names one, `placed_from` is the first moment (of
        the order's making, in milliseconds) and `placed_to` the first one after."""
        ...

    @query(errors=(NoSuchOrder,))
    async def history(self, *, order_id: str) -> tuple[Entry, ...]:
        """What happened to an order, oldest first; at most the first 1,000 entries."""
        ...

    @query()
    async def summary(self, *, since: Moment) -> Summary:
        """How the shop stands, from no more than the latest `MOST_COUNTED` orders of each kind."""
        ...

    @command(errors=(NoSuchOrder, OrderConflict, TooMany), timeout_ms=10_000)
    async def fulfil(self, *, key: Key, order_id: str, draft: FulfilmentDraft, actor: str) -> Order:
        """Send pieces out; an order of which everything was sent is completed."""
        ...

    @command(errors=(NoSuchOrder, OrderConflict, TooMany, RefundTooLarge), timeout_ms=15_000)
    async def refund(self, *, key: Key, order_id: str, draft: RefundDraft, actor: str) -> Order:
        """Give money back for a placed or completed order, and pieces to stock."""
        ...
