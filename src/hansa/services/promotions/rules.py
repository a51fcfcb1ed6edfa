"""When a flash sale is open, who is admitted to it in which order, and what a ticket is."""

import base64
import hmac
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from hansa.kernel.clock import to_micros
from hansa.kernel.errors import BusinessError, ErrorRecord, IdempotencyKeyReused, record_error, revive_error
from hansa.kernel.money import Money
from hansa.services.promotions.contract import (
    ADMIT_ERRORS,
    ClaimGone,
    FlashSale,
    FlashSaleDraft,
    FlashSaleEnded,
    FlashSaleInvalid,
    FlashSaleRecord,
    NoSuchFlashSale,
    OverLimit,
    SoldOut,
    State,
    TooEarly,
)

LARGEST_EXACT = 10
"""Up to so many pieces what is left is told exactly."""


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """A flash sale as it is kept."""

    sale_id: str
    sku: str
    name: str
    price: Money
    quantity: int
    limit_per_buyer: int
    starts_at: datetime
    ends_at: datetime
    claimed: int = 0
    is_cancelled: bool = False
    created_at: datetime
    version: int = 1

    @property
    def left(self) -> int:
        return self.quantity - self.claimed


class Ask(NamedTuple):
    """One order's wish for pieces of a sale."""

    sale_id: str
    order_id: str
    member: str
    quantity: int


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a wish."""

    member: str | None
    quantity: int
    state: Literal["held", "released", "refused"]
    refusal: ErrorRecord | None = None


class Admission(NamedTuple):
    """What a batch of wishes comes to: an answer to each, the claims that are new, and the pieces they take."""

    answers: list[BusinessError | None]
    fresh: dict[str, tuple[Ask, Claim]]
    """By order."""
    by_sale: dict[str, int]
    by_buyer: dict[tuple[str, str], int]
    """By sale and member."""


def check_draft(draft: FlashSaleDraft, *, currencies: Sequence[str], at: datetime) -> None:
    """Raises FlashSaleInvalid."""
    if draft.price.amount < 1:
        raise FlashSaleInvalid(pointer="/price/amount", reason="a price is above zero")
    if draft.price.currency not in currencies:
        raise FlashSaleInvalid(pointer="/price/currency", reason="the shop has no prices in this currency")
    if draft.limit_per_buyer > draft.quantity:
        raise FlashSaleInvalid(pointer="/limit_per_buyer", reason="a buyer may have no more than there is")
    if draft.ends_at <= draft.starts_at:
        raise FlashSaleInvalid(pointer="/ends_at", reason="a sale ends after its start")
    if draft.ends_at <= at:
        raise FlashSaleInvalid(pointer="/ends_at", reason="this has passed already")


def is_over(sale: Sale, *, at: datetime) -> bool:
    """Whether it has ended; a cancelled one for good, also for those whose clocks are behind."""
    return sale.is_cancelled or at >= sale.ends_at


def state_of(sale: Sale, *, at: datetime) -> State:
    """Open from the first microsecond on, and no more in the last."""
    if is_over(sale, at=at):
        return "ended"
    if at < sale.starts_at:
        return "scheduled"
    return "open" if sale.left else "sold_out"


def closed(sale: Sale, *, at: datetime) -> BusinessError | None:
    """Why nobody can buy at this time, if so."""
    if is_over(sale, at=at):
        return FlashSaleEnded(ends_at=sale.ends_at)
    if at < sale.starts_at:
        return TooEarly(starts_at=sale.starts_at)
    return None


def hopeless(sale: Sale, *, pieces: int, at: datetime) -> BusinessError | None:
    """Why somebody who wants so many pieces certainly has no chance now, if so."""
    if (why := closed(sale, at=at)) is not None:
        return why
    return SoldOut(left=sale.left) if pieces > sale.left else None


def roughly(left: int) -> int:
    """Exact up to ten; above, rounded up to one digit."""
    if left <= LARGEST_EXACT:
        return left
    unit: int = 10 ** (len(str(left)) - 1)
    return -(-left // unit) * unit


def shown(sale: Sale, *, at: datetime) -> FlashSale:
    state = state_of(sale, at=at)
    return FlashSale(
        id=sale.sale_id,
        sku=sale.sku,
        name=sale.name,
        price=sale.price,
        quantity=sale.quantity,
        limit_per_buyer=sale.limit_per_buyer,
        starts_at=sale.starts_at,
        ends_at=sale.ends_at,
        state=state,
        roughly_left=min(roughly(sale.left), sale.quantity),
        now=at,
    )


def recorded(sale: Sale, *, at: datetime) -> FlashSaleRecord:
    return FlashSaleRecord(
        id=sale.sale_id,
        sku=sale.sku,
        name=sale.name,
        price=sale.price,
        quantity=sale.quantity,
        limit_per_buyer=sale.limit_per_buyer,
        starts_at=sale.starts_at,
        ends_at=sale.ends_at,
        state=state_of(sale, at=at),
        claimed=sale.claimed,
        left=sale.left,
        is_cancelled=sale.is_cancelled,
        created_at=sale.created_at,
        version=sale.version,
    )


def cancelled(sale: Sale, *, at: datetime) -> Sale:
    """Raises FlashSaleEnded for one that is over."""
    if is_over(sale, at=at):
        raise FlashSaleEnded(ends_at=sale.ends_at)
    return replace(sale, ends_at=at, is_cancelled=True, version=sale.version + 1)


def admit(
    asks: Sequence[Ask],
    *,
    sales: Mapping[str, Sale],
    bought: Mapping[tuple[str, str], int],
    claims: Mapping[str, Claim],
    at: datetime,
) -> Admission:
    """Decide in the order of arrival; whoever does not fit is refused, and leaves the others alone.

    `bought` is by sale and member, `claims` by order. An order that was here before gets the answer it got then.
    """
    admission = Admission(answers=[], fresh={}, by_sale={}, by_buyer={})
    taken, taken_by = Counter[str](), Counter[tuple[str, str]]()
    for ask in asks:
        sale = sales.get(ask.sale_id)
        if sale is None:
            admission.answers.append(NoSuchFlashSale())
            continue
        fresh = admission.fresh.get(ask.order_id)
        claim = fresh[1] if fresh else claims.get(ask.order_id)
        if claim is None:
            buyer = (ask.sale_id, ask.member)
            left = sale.left - taken[ask.sale_id]
            has = bought.get(buyer, 0) + taken_by[buyer]
            refusal = _refusal(sale, left=left, has=has, pieces=ask.quantity, at=at)
            claim = _decided(ask, refusal)
            admission.fresh[ask.order_id] = (ask, claim)
            if refusal is None:
                taken[ask.sale_id] += ask.quantity
                taken_by[buyer] += ask.quantity
        admission.answers.append(_answer(ask, claim))
    admission.by_sale.update(taken)
    admission.by_buyer.update(taken_by)
    return admission


def _refusal(sale: Sale, *, left: int, has: int, pieces: int, at: datetime) -> BusinessError | None:
    if (why := closed(sale, at=at)) is not None:
        return why
    if has + pieces > sale.limit_per_buyer:
        return OverLimit(limit=sale.limit_per_buyer, bought=has)
    return SoldOut(left=left) if pieces > left else None


def _decided(ask: Ask, refusal: BusinessError | None) -> Claim:
    if refusal is None:
        return Claim(member=ask.member, quantity=ask.quantity, state="held")
    return Claim(member=ask.member, quantity=ask.quantity, state="refused", refusal=record_error(refusal))


def _answer(ask: Ask, claim: Claim) -> BusinessError | None:
    if claim.state == "released":
        return ClaimGone()
    if (claim.member, claim.quantity) != (ask.member, ask.quantity):
        return IdempotencyKeyReused()
    if claim.refusal is None:
        return None
    error = revive_error(claim.refusal, ADMIT_ERRORS)
    assert isinstance(error, BusinessError), "only declared errors are kept"
    return error


def ticket(*, secret: bytes, sale_id: str, member: str, at: datetime) -> str:
    """The moment it was handed out, and what only this shop could have made of it, the sale and the member."""
    moment = str(to_micros(at))
    return f"{moment}.{_signed(secret, sale_id, member, moment)}"


def is_ticket_good(text: str, *, secret: bytes, sale: Sale, member: str) -> bool:
    """Whether it was handed out to this member for this sale, and not before the start."""
    moment, _, signature = text.partition(".")
    if not (moment.isascii() and moment.isdigit()) or len(moment) > 18:
        return False
    expected = _signed(secret, sale.sale_id, member, moment)
    return hmac.compare_digest(expected.encode(), signature.encode()) and int(moment) >= to_micros(sale.starts_at)


def _signed(secret: bytes, sale_id: str, member: str, moment: str) -> str:
    digest = hmac.digest(secret, f"{sale_id}.{member}.{moment}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
