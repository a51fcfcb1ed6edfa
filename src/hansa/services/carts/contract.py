"""What may be asked of carts, and every way carts may say no."""

from datetime import datetime
from typing import Annotated, Protocol

import msgspec

from hansa.kernel.address import Destination
from hansa.kernel.channel import MAIN, SHOP
from hansa.kernel.contract import Key, command, query
from hansa.kernel.errors import BusinessError, Kind
from hansa.kernel.ids import Id
from hansa.kernel.money import Currency, Money

LARGEST_QUANTITY = 10_000
MOST_LINES = 100
Quantity = Annotated[int, msgspec.Meta(ge=1, le=LARGEST_QUANTITY)]
Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_QUANTITY)]


class NoSuchCart(BusinessError, code="carts.not_found", kind=Kind.NOT_FOUND):
    """There is no such cart, or it is somebody else's."""


class CartClosed(BusinessError, code="carts.closed", kind=Kind.CONFLICT):
    """The cart has become an order, or part of a member's cart, and cannot be changed; see its `successor`."""


class CartFull(BusinessError, code="carts.full", kind=Kind.CONFLICT):
    """The cart holds as many different things as it can."""

    most: int = MOST_LINES


class NotForSale(BusinessError, code="carts.not_for_sale", kind=Kind.CONFLICT):
    """The sku is unknown, archived, has no price in this currency, or is not sold in such a quantity."""

    sku: str
    currency: str


class DeliveryNotOffered(BusinessError, code="carts.delivery_not_offered", kind=Kind.UNPROCESSABLE):
    """The chosen delivery is not offered there, or nothing is delivered to that country in this currency."""

    country: str


class QuoteLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line as priced; the snapshot of name, price and tax class that an order keeps."""

    sku: str
    product_id: Id
    slug: str
    name: str
    options: dict[str, str]
    quantity: Quantity
    unit_price: Money
    total: Money
    tax_included: bool
    tax_class: str
    weight_grams: int
    seller_id: str = SHOP


class Adjustment(msgspec.Struct, frozen=True, kw_only=True):
    """One step from the subtotal to the total, explained.

    `kind` is tax, shipping or promotion. `rate_ppm` of `basis` gives `amount` where there is a rate. An `included`
    adjustment says what part of the prices it is and adds nothing: its `basis` is gross, and its amount
    `basis * rate / (1 + rate)`. `line` is the sku it belongs to, None for the whole.
    """

    kind: str
    code: str
    name: str
    basis: Money
    rate_ppm: int | None
    amount: Money
    included: bool
    line: str | None
    source: str


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """A priced basket: `total = subtotal + sum of adjustments that are not included`, exactly.

    `fingerprint` changes whenever anything a shopper was shown changes. Without a destination there is no shipping
    and no tax that depends on it, and `is_final` is false.
    """

    lines: tuple[QuoteLine, ...]
    subtotal: Money
    adjustments: tuple[Adjustment, ...]
    total: Money
    currency: Currency
    delivery: str | None
    weight_grams: int
    is_final: bool
    fingerprint: str


class CartLine(msgspec.Struct, frozen=True, kw_only=True):
    """Some pieces of a sku that somebody means to buy."""

    sku: str
    quantity: Quantity


class SpecialPrice(msgspec.Struct, frozen=True, kw_only=True):
    """A price below the regular one for every piece of a sku, explained by an adjustment of kind promotion with this
    code, name and source. One above the regular price changes nothing, and the adjustment says so."""

    sku: str
    unit_price: Money
    code: str
    name: str
    source: str


class Cart(msgspec.Struct, frozen=True, kw_only=True):
    """A cart and its present quote (without destination). Lines no longer for sale are named in `unavailable`.

    A cart stays open while an order made from it is pending, and closes with its lines as they are when that order is
    placed. Lines, or pieces of them, that came too late for the order are then in a new open cart of the same owner.
    """

    id: str
    """A member's cart is named by its id; a guest's also by 80 random bits: possession is the right to it."""
    lines: tuple[CartLine, ...]
    currency: Currency
    is_open: bool
    quote: Quote
    unavailable: tuple[str, ...] = ()
    successor: str | None = None
    """Where a closed cart goes on: the cart with what its order did not take, or the member's cart that it was merged
    into. None: all of it was ordered."""
    version: int
    updated_at: datetime


class Basket(msgspec.Struct, frozen=True, kw_only=True):
    """What an order is made from: the lines of a cart, whose it is, and its slot."""

    cart_id: Id
    member: Id | None
    lines: tuple[CartLine, ...]
    currency: Currency
    slot: int


Lines = Annotated[tuple[CartLine, ...], msgspec.Meta(min_length=1, max_length=MOST_LINES)]


class Carts(Protocol):
    """Carts, and the only maker of totals. `member` is the asking user's id, None for a guest."""

    @command()
    async def create(self, *, key: Key, member: str | None, currency: Currency, locale: str) -> Cart:
        """A new empty cart, a guest's or the member's (who keeps one open cart: it is the one given)."""
        ...

    @query(errors=(NoSuchCart,))
    async def get(self, *, cart: str, member: str | None, locale: str) -> Cart: ...

    @query(errors=(NoSuchCart,))
    async def current(self, *, member: str, locale: str) -> Cart:
        """The member's open cart."""
        ...

    @command(errors=(NoSuchCart, CartClosed, CartFull, NotForSale))
    async def put_line(
        self, *, key: Key, cart: str, member: str | None, sku: str, quantity: Count, locale: str
    ) -> Cart:
        """Set how many pieces of a sku the cart holds; 0 removes the line."""
        ...

    @command(errors=(NoSuchCart, CartClosed))
    async def set_currency(self, *, key: Key, cart: str, member: str | None, currency: Currency, locale: str) -> Cart:
        """Price the cart in another currency; lines that have no price in it are named in `unavailable` and stay."""
        ...

    @command(errors=(NoSuchCart, CartClosed))
    async def claim(self, *, key: Key, cart: str, member: str, locale: str) -> Cart:
        """Give a guest's cart to a member: merged into the member's open one (quantities of the same sku are added, up
        to the largest), and closed. A cart that they have claimed before stays as it is."""
        ...

    @query(errors=(NoSuchCart, CartClosed))
    async def basket(self, *, cart: str, member: str | None) -> Basket:
        """What an order may be made from."""
        ...

    @query(errors=(NotForSale, DeliveryNotOffered))
    async def quote(
        self,
        *,
        lines: Lines,
        currency: Currency,
        locale: str,
        destination: Destination | None = None,
        delivery: str | None = None,
        price_list: str = MAIN,
        specials: Annotated[tuple[SpecialPrice, ...], msgspec.Meta(max_length=MOST_LINES)] = (),
    ) -> Quote:
        """Price a basket; lines of the same sku become one. `delivery` is the code of a shipping option; None chooses
        the cheapest. Special prices are in `currency`, and at most one for a sku."""
        ...
