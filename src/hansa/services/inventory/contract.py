"""What may be asked of inventory, and every way inventory may say no."""

from datetime import datetime
from typing import Annotated, Protocol

import msgspec

from hansa.kernel.channel import MAIN
from hansa.kernel.contract import Key, command, query
from hansa.kernel.errors import BusinessError, Kind
from hansa.kernel.ids import Id

Sku = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)")]
Location = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)")]
Quantity = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
OnHand = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
LARGEST_SET = 200


class NoSuchStock(BusinessError, code="inventory.not_found", kind=Kind.NOT_FOUND):
    """Nothing is known of this sku."""

    sku: str


class OutOfStock(BusinessError, code="inventory.out_of_stock", kind=Kind.CONFLICT):
    """There are not enough pieces; `left` can still be had."""

    sku: str
    left: int


class BelowReserved(BusinessError, code="inventory.below_reserved", kind=Kind.CONFLICT):
    """More pieces are promised to buyers than would be left."""

    sku: str
    reserved: int


class StockChanged(BusinessError, code="inventory.version_conflict", kind=Kind.PRECONDITION_FAILED):
    """The stock has changed since it was read; `version` is the present one, 0 if nothing is known of the sku."""

    version: int


class ReservationGone(BusinessError, code="inventory.reservation_gone", kind=Kind.CONFLICT):
    """The pieces were given back (cancelled, expired and sold to others, or never held): this order gets none."""

    order_id: Id


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """Some pieces of a sku."""

    sku: Sku
    quantity: Quantity


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """The stock of a sku at one location. Always `on_hand = available + reserved`; `sold` counts pieces that were sold
    and have not come back."""

    location: str
    on_hand: int
    reserved: int
    sold: int
    available: int


class Stock(msgspec.Struct, frozen=True, kw_only=True):
    """The stock of a sku over all locations; `version` is its ETag: it grows with every change at any of them."""

    sku: str
    on_hand: int
    reserved: int
    sold: int
    available: int
    version: int
    levels: tuple[Level, ...]


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the ledger. Every change of a level has one; summed, they give the level.

    `kind` is one of received, written_off, reserved, released, sold, returned, till_sale.
    """

    sku: str
    location: str
    kind: str
    on_hand: int
    reserved: int
    sold: int
    """Changes of the three counters, in pieces."""
    reference: str
    """What caused it: an order id, a till's receipt, or the person who counted."""
    at: datetime


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """Pieces held for an order until `expires_at`."""

    order_id: Id
    lines: tuple[Line, ...]
    expires_at: datetime


Lines = Annotated[tuple[Line, ...], msgspec.Meta(min_length=1, max_length=LARGEST_SET)]


class Inventory(Protocol):
    """Stock. Whatever comes twice or at once, no level goes below zero and no piece is promised twice."""

    @query(errors=(NoSuchStock,))
    async def stock(self, *, sku: Sku) -> Stock: ...

    @query()
    async def stocks(
        self, *, skus: Annotated[tuple[Sku, ...], msgspec.Meta(max_length=LARGEST_SET)]
    ) -> tuple[Stock, ...]:
        """The stock of several skus in the order asked for; unknown ones are left out."""
        ...

    @query()
    async def available(
        self, *, skus: Annotated[tuple[Sku, ...], msgspec.Meta(max_length=LARGEST_SET)], locations: tuple[Location, ...]
    ) -> dict[str, int]:
        """Pieces that can be promised, per sku, summed over the locations; unknown skus have 0."""
        ...

    @query(errors=(NoSuchStock,))
    async def movements(self, *, sku: Sku) -> tuple[Movement, ...]:
        """The ledger of a sku, oldest first; at most the latest 1,000 lines."""
        ...

    @command(errors=(BelowReserved, StockChanged))
    async def set_on_hand(
        self, *, key: Key, sku: Sku, on_hand: OnHand, version: int | None, actor: str, location: Location = MAIN
    ) -> Stock:
        """Say how many pieces there are, as counted; the difference is booked as received or written off.

        `version` is that of the `Stock` the count is based on: if anything has changed since at any location, the
        answer is StockChanged. None sets whatever happened since; 0 only what is not there yet.
        """
        ...

    @command(timeout_ms=60_000)
    async def set_many(
        self,
        *,
        key: Key,
        on_hand: Annotated[dict[Sku, OnHand], msgspec.Meta(max_length=LARGEST_SET)],
        actor: str,
        location: Location = MAIN,
    ) -> dict[str, str]:
        """As set_on_hand for many skus; answers the codes of the refused ones by sku.

        `key` names a source of counts, such as a file: a sku at a location is set once per key, however the skus are
        grouped into calls and whatever later ones say. What came of it, taken or refused, is answered again. This is
        remembered for 30 days after the last call with that key and sku.
        """
        ...

    @command(errors=(OutOfStock, ReservationGone))
    async def reserve(
        self, *, key: Key, order_id: Id, lines: Lines, locations: tuple[Location, ...], expires_at: datetime
    ) -> Reservation:
        """Hold all lines for an order, or none. The order's id is the true key: asked again, the first answer is given,
        and with other lines IdempotencyKeyReused.

        A refusal is remembered: the order never gets pieces later. Neither does one whose pieces were released, were it
        before they were ever reserved: that is ReservationGone. Locations are in the order of preference: a sku comes
        whole from the first that has enough of it, else from several.
        """
        ...

    @command(errors=(ReservationGone,))
    async def sell(self, *, key: Key, order_id: Id) -> None:
        """Turn what is held for an order into sold pieces; again: nothing more. Wins or loses against release, whole.

        If what was held has expired, the same lines are taken afresh, whole, from what is available at the locations
        that were asked for then; if that is not enough, the order never gets pieces.
        """
        ...

    @command()
    async def release(self, *, key: Key, order_id: Id) -> None:
        """Give back what an order holds or was sold, whole, and let it never hold anything again."""
        ...

    @command()
    async def take_back(self, *, key: Key, order_id: Id, lines: Lines) -> None:
        """Returned pieces of a sold order go back to their locations; never more than were sold to it."""
        ...

    @command()
    async def record_sale(
        self, *, key: Key, receipt: str, sku: Sku, quantity: Quantity, location: Location, actor: str
    ) -> Stock:
        """A till's fact: never refused. What was not there is booked as a received difference first."""
        ...
