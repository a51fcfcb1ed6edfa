"""What may be asked of promotions, and every way promotions may say no."""

from datetime import datetime
from typing import Annotated, Literal, Protocol

import msgspec

from hansa.kernel.contract import Key, command, query
from hansa.kernel.errors import BusinessError, Kind
from hansa.kernel.ids import Id
from hansa.kernel.money import Money
from hansa.kernel.page import CursorInvalid, Limit, Page

LARGEST_SALE = 1_000_000
MOST_SHOWN = 100
Sku = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)")]
Name = Annotated[str, msgspec.Meta(max_length=200)]
Pieces = Annotated[int, msgspec.Meta(ge=1, le=LARGEST_SALE)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""With its offset from UTC."""
State = Literal["scheduled", "open", "sold_out", "ended"]
Ticket = Annotated[str, msgspec.Meta(max_length=200)]
"""What a sale hands out to a member from its start on; empty for none."""


class NoSuchFlashSale(BusinessError, code="promotions.flash_sale_not_found", kind=Kind.NOT_FOUND):
    """There is no such flash sale."""


class FlashSaleInvalid(BusinessError, code="promotions.flash_sale_invalid", kind=Kind.INVALID):
    """The flash sale contradicts itself; `pointer` names the part and `reason` says why."""

    pointer: str
    reason: str


class TooEarly(BusinessError, code="promotions.too_early", kind=Kind.TOO_EARLY):
    """The flash sale has not begun yet."""

    starts_at: datetime


class FlashSaleEnded(BusinessError, code="promotions.ended", kind=Kind.CONFLICT):
    """The flash sale is over."""

    ends_at: datetime


class SoldOut(BusinessError, code="promotions.sold_out", kind=Kind.CONFLICT):
    """There are not so many pieces left in the flash sale at the moment; what is not paid for comes back."""

    left: int


class OverLimit(BusinessError, code="promotions.over_limit", kind=Kind.FORBIDDEN):
    """That would be more pieces than one buyer may have; `bought` are yours already."""

    limit: int
    bought: int


class TicketInvalid(BusinessError, code="promotions.ticket_invalid", kind=Kind.FORBIDDEN):
    """The ticket is missing, somebody else's, or of another sale; get one from the sale once it has begun."""


class InLine(BusinessError, code="promotions.in_line", kind=Kind.TOO_MANY):
    """You are in line, at `place` (1 is next); repeat the request with the same key to stay there."""

    place: int
    retry_after_s: int


class LineFull(BusinessError, code="promotions.line_full", kind=Kind.TOO_MANY):
    """The line is full; ask again a little later."""

    retry_after_s: int


class ClaimGone(BusinessError, code="promotions.claim_gone", kind=Kind.CONFLICT):
    """The pieces of this order went back to the sale: it gets none."""


class FlashSaleDraft(msgspec.Struct, frozen=True, kw_only=True):
    """So many pieces of a sku at a special price for a while; `name` is for people, the sku's own if it is empty.

    A price above the regular one changes nothing. Pieces are not set aside: they come out of the stock.
    """

    sku: Sku
    price: Money
    quantity: Pieces
    limit_per_buyer: Pieces
    starts_at: Moment
    ends_at: Moment
    name: Name = ""


class FlashSale(msgspec.Struct, frozen=True, kw_only=True):
    """A flash sale as shoppers see it, at the moment `now` of the server's clock, by which it starts and ends.

    `sold_out` may become `open` again: what is not paid for comes back. `roughly_left` is exact up to 10 and rounded up
    to one digit above.
    """

    id: Id
    sku: str
    name: str
    price: Money
    quantity: int
    limit_per_buyer: int
    starts_at: datetime
    ends_at: datetime
    state: State
    roughly_left: int
    now: datetime


class FlashSaleRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A flash sale as staff see it: `claimed` pieces are held by orders that are pending or placed."""

    id: Id
    sku: str
    name: str
    price: Money
    quantity: int
    limit_per_buyer: int
    starts_at: datetime
    ends_at: datetime
    """Of a cancelled sale the moment of its cancelling."""
    state: State
    claimed: int
    left: int
    is_cancelled: bool
    created_at: datetime
    version: int


class FlashSales(msgspec.Struct, frozen=True, kw_only=True):
    """Flash sales that run or are to come, the first to start first; at most 100."""

    items: tuple[FlashSale, ...]
    now: datetime


class TicketGiven(msgspec.Struct, frozen=True, kw_only=True):
    """A member's ticket to a sale, good until its end."""

    ticket: str
    now: datetime


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a member stands: `place` 1 is next, 0 is not waiting (never came, is being served, or was answered).

    `waiting` is the length of the whole line.
    """

    place: int
    waiting: int
    state: State
    now: datetime


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What whoever was let in may buy."""

    sale_id: Id
    sku: str
    name: str
    price: Money


ENTER_ERRORS = (NoSuchFlashSale, TooEarly, FlashSaleEnded, SoldOut, OverLimit, TicketInvalid, InLine, LineFull)
ADMIT_ERRORS = (NoSuchFlashSale, TooEarly, FlashSaleEnded, SoldOut, OverLimit, ClaimGone)


class Promotions(Protocol):
    """Flash sales. Whatever comes twice or at once, no more pieces are claimed than a sale has, nor by one person."""

    @command(errors=(FlashSaleInvalid,))
    async def create(self, *, key: Key, draft: FlashSaleDraft, actor: str) -> FlashSaleRecord:
        """Announce a flash sale; leaves an audit row."""
        ...

    @command(errors=(NoSuchFlashSale, FlashSaleEnded))
    async def cancel(self, *, key: Key, sale_id: Id, actor: str) -> FlashSaleRecord:
        """End a flash sale now, or before it begins; what was ordered stays ordered. Leaves an audit row."""
        ...

    @query(errors=(NoSuchFlashSale,))
    async def record(self, *, sale_id: Id) -> FlashSaleRecord: ...

    @query(errors=(CursorInvalid,))
    async def list_for_staff(self, *, limit: Limit = 20, cursor: str | None = None) -> Page[FlashSaleRecord]:
        """All flash sales, newest first."""
        ...

    @query(errors=(NoSuchFlashSale,))
    async def get(self, *, sale_id: Id) -> FlashSale: ...

    @query()
    async def list(self) -> FlashSales:
        """Flash sales that run or are to come."""
        ...

    @query(errors=(NoSuchFlashSale, TooEarly, FlashSaleEnded))
    async def ticket(self, *, sale_id: Id, member: Id) -> TicketGiven:
        """The ticket without which nobody is let in; there is none before the start."""
        ...

    @query(errors=(NoSuchFlashSale,))
    async def place(self, *, sale_id: Id, member: Id) -> Place:
        """Where the member stands in the line: the first of their places, if they have several."""
        ...

    @command(errors=ENTER_ERRORS, timeout_ms=10_000)
    async def enter(self, *, key: Key, sale_id: Id, member: Id, ticket: Ticket, quantity: Pieces) -> Terms:
        """Wait in the line for one's turn to be admitted. `key` names the attempt: repeated, it keeps its place.

        At most as many are let in at a time as there are pieces for. Whoever waited for 8 seconds is told the place,
        which is kept for 15 more. Nobody has a piece yet: the turn is over with `admit`, `leave`, or after 5 seconds.
        """
        ...

    @command()
    async def leave(self, *, key: Key, sale_id: Id) -> None:
        """Give up the turn of the attempt `key`: what was to be ordered cannot be."""
        ...

    @command(errors=ADMIT_ERRORS)
    async def admit(self, *, key: Key, sale_id: Id, order_id: Id, member: Id, quantity: Pieces) -> None:
        """Claim pieces for an order. The order's id is the true key: asked again, the first answer is given, a refusal
        too; an order whose pieces were released, were it before they were ever claimed, never has any: ClaimGone."""
        ...

    @command()
    async def release(self, *, key: Key, sale_id: Id, order_id: Id) -> None:
        """Give back what an order has claimed, whole, and let it never claim anything again."""
        ...
