"""Buying in a flash sale: one order however often the form is sent, and where every kind of no leads."""

import re
from dataclasses import dataclass, replace
from typing import Any

import structlog
from starlette.responses import Response

from hansa.kernel.errors import BusinessError, CommandInFlight, Fault, IdempotencyKeyReused
from hansa.kernel.ids import is_id
from hansa.services.orders.contract import (
    AddressIncomplete,
    Delivery,
    FlashDraft,
    NoSuchProvider,
    NotDeliverable,
    NotForSale,
    Order,
    Orders,
    OutOfStock,
    PaymentDeclined,
    QuoteChanged,
)
from hansa.services.orders.contract.flash import (
    FlashSaleEnded,
    InLine,
    LineFull,
    NoSuchFlashSale,
    OverLimit,
    SoldOut,
    TicketInvalid,
    TooEarly,
)
from hansa.services.promotions.contract import FlashSale, Promotions
from hansa.web.forms import Form, key_of
from hansa.web.storefront.checkout.details import Details, read
from hansa.web.storefront.checkout.payment import Way, ways
from hansa.web.storefront.checkout.review import UNFIT, refused
from hansa.web.storefront.flash import door
from hansa.web.storefront.flash.door import Door
from hansa.web.storefront.flash.sales import ShownSale, shown_sale
from hansa.web.storefront.shell import shown
from hansa.web.visit import Moved, Shown, Visit

CONFLICT, FORBIDDEN, UNPAID, EARLY, TOO_MANY, UNCERTAIN = 409, 403, 402, 425, 429, 503
MOST_ROUNDS = 3
"""How often the shop asks again for somebody without scripts before the page tells them their place."""
LONGEST_TICKET = 200
_KEY = re.compile(r"^[A-Za-z0-9_-]{20,80}$(?!\n)")
_FINGERPRINT = re.compile(r"^[0-9a-f]{0,64}$(?!\n)")
_METHOD = re.compile(r"^[a-z][a-z0-9_-]{0,39}$(?!\n)")
log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A form that was sent to buy."""

    sale_id: str
    member: str
    form: Form
    details: Details
    quantity: int

    @property
    def key(self) -> str:
        return key_of(self.form, what="flash", who=f"{self.member}\x1f{self.sale_id}")


async def buy(visit: Visit, form: Form, sale_id: str, member: str) -> Shown | Moved | Response:
    if not is_id(sale_id):
        raise NoSuchFlashSale()
    attempt = Attempt(
        sale_id=sale_id,
        member=member,
        form=form,
        details=await read(visit, form, is_checked=True),
        quantity=form.number("quantity") or 0,
    )
    if attempt.details.address is None or attempt.details.all_problems:
        return await _form(visit, attempt, details=attempt.details, status=UNFIT, is_same=True)
    way = next((way for way in await ways(visit) if way.value == form.get("payment")), None)
    if way is None:
        return await _form(visit, attempt, payment="checkout.wrong.payment", status=UNFIT, is_same=True)
    if not _is_whole(form) or attempt.quantity < 1:
        return await _form(visit, attempt, problem="checkout.wrong.again", status=UNFIT)
    try:
        order = await _bought(visit, attempt, way)
    except BusinessError as error:
        return await _refused(visit, attempt, error)
    except Fault as fault:
        # It may have been bought: the same form, sent again, finds out.
        log.warning("buying in a flash sale was not answered", fault=str(fault))
        return await _form(visit, attempt, problem="checkout.wrong.uncertain", status=UNCERTAIN, is_same=True)
    return led(visit, visit.url(f"orders/{order.id}", placed="1"))


async def _bought(visit: Visit, attempt: Attempt, way: Way) -> Order:
    """The order. A page with scripts asks again by itself while it tells the place; for one without, the shop does, a
    few times. Raises what `Orders.buy` raises."""
    assert attempt.details.address is not None, "looked at before"
    draft = FlashDraft(
        ticket=attempt.form.get("ticket"),
        quantity=attempt.quantity,
        email=attempt.details.email,
        shipping_address=attempt.details.address,
        payment=way.draft,
        delivery=Delivery(method=attempt.details.delivery),
        quote=attempt.form.get("quote") or None,
    )
    for left in reversed(range(1 if _has_scripts(visit) else MOST_ROUNDS)):
        try:
            return await visit.client(Orders).buy(
                key=attempt.key, sale_id=attempt.sale_id, draft=draft, member=attempt.member, locale=visit.locale
            )
        except InLine:
            if not left:
                raise
    raise AssertionError("unreachable")


async def _refused(visit: Visit, attempt: Attempt, error: BusinessError) -> Shown | Moved | Response:
    """Each no leads to where something can be done about it."""
    match error:
        case NoSuchFlashSale():
            raise error
        case InLine(place=place, retry_after_s=retry_after_s):
            return await _waiting(visit, attempt, place=place, retry_after_s=retry_after_s)
        case LineFull(retry_after_s=retry_after_s):
            return await _waiting(visit, attempt, place=0, retry_after_s=retry_after_s)
        case CommandInFlight():
            return await _waiting(visit, attempt, place=0, retry_after_s=1)
        case TooEarly():
            return await _form(visit, attempt, problem="flash.wrong.early", status=EARLY, is_same=True)
        case FlashSaleEnded():
            return await _form(visit, attempt, problem="flash.wrong.ended", status=CONFLICT)
        case SoldOut(left=left) if left > 0:
            return await _form(visit, attempt, problem="flash.wrong.fewer", status=CONFLICT, count=left)
        case SoldOut():
            return await _form(visit, attempt, problem="flash.wrong.sold_out", status=CONFLICT)
        case OverLimit(limit=limit, bought=bought):
            problem = "flash.wrong.over_limit" if bought < limit else "flash.wrong.has_all"
            return await _form(visit, attempt, problem=problem, status=FORBIDDEN, count=limit, bought=bought)
        case TicketInvalid():
            return await _form(visit, attempt, problem="flash.wrong.ticket", status=FORBIDDEN)
        case PaymentDeclined():
            return await _form(visit, attempt, payment="checkout.wrong.declined", status=UNPAID)
        case NoSuchProvider():
            return await _form(visit, attempt, payment="checkout.wrong.payment", status=UNFIT)
        case QuoteChanged(total=total):
            total_text = visit.money(total)
            return await _form(visit, attempt, problem="checkout.wrong.quote_changed", total=total_text)
        case OutOfStock():
            return await _form(visit, attempt, problem="flash.wrong.sold_out")
        case NotForSale():
            return await _form(visit, attempt, problem="flash.wrong.not_for_sale")
        case NotDeliverable() | AddressIncomplete():
            return await _form(visit, attempt, details=refused(visit, attempt.details, error), status=UNFIT)
        case IdempotencyKeyReused():
            return await _form(visit, attempt, problem="flash.wrong.sent_before")
    return await _form(visit, attempt, problem="checkout.wrong.again")


async def _form(
    visit: Visit,
    attempt: Attempt,
    *,
    details: Details | None = None,
    problem: str = "",
    payment: str = "",
    status: int = CONFLICT,
    is_same: bool = False,
    **values: Any,
) -> Shown:
    """The form once more with what is in the way, to be sent as a new attempt, or as the same one."""
    found = await shown_sale(visit, attempt.sale_id)
    built = await _built(visit, found, attempt, details or attempt.details, is_same=is_same)
    said = door.told(
        built,
        problem=visit.say(problem, **values) if problem else "",
        payment_problem=visit.say(payment) if payment else "",
    )
    return await door.page(visit, found, said, status=status)


async def _waiting(visit: Visit, attempt: Attempt, *, place: int, retry_after_s: int) -> Shown:
    """The place in line, and the same form to be sent again: by itself where scripts run."""
    found = await shown_sale(visit, attempt.sale_id)
    built = await _built(visit, found, attempt, attempt.details, is_same=True, is_ticket_kept=True)
    context: dict[str, Any] = {
        "entry": found,
        "sale": found.sale,
        "door": replace(built, quantity=attempt.quantity),
        "place": place,
        "retry_after_s": max(1, retry_after_s),
    }
    if _has_scripts(visit):
        return Shown(template="storefront/flash_line.html", context=context)
    return await shown(visit, "flash_waiting.html", status=TOO_MANY, is_indexed=False, **context)


async def place_fragment(visit: Visit, sale: FlashSale) -> Shown:
    """Where the member stands."""
    assert visit.who.member is not None, "for members"
    place = await visit.client(Promotions).place(sale_id=sale.id, member=visit.who.member)
    return Shown(template="storefront/flash_place.html", context={"place": place.place})


async def _built(
    visit: Visit,
    found: ShownSale,
    attempt: Attempt,
    details: Details,
    *,
    is_same: bool,
    is_ticket_kept: bool = False,
) -> Door:
    sent = attempt.form.get("key")
    return await door.build(
        visit,
        found,
        details,
        quantity=attempt.quantity,
        paying=attempt.form.get("payment"),
        key=sent if is_same and _KEY.match(sent) else visit.ids.token(),
        ticket_text=attempt.form.get("ticket") if is_ticket_kept else "",
    )


def led(visit: Visit, address: str) -> Moved | Response:
    """On to another page, by whatever has asked."""
    if _has_scripts(visit):
        return Response(status_code=200, headers={"hx-redirect": address})
    return Moved(to=address)


def _has_scripts(visit: Visit) -> bool:
    return visit.request.headers.get("hx-request") == "true"


def _is_whole(form: Form) -> bool:
    """Whether the form has all that its page put into it. There may be no ticket: the answer to that is the sale's."""
    return (
        bool(_KEY.match(form.get("key")))
        and bool(_METHOD.match(form.get("delivery")))
        and bool(_FINGERPRINT.match(form.get("quote")))
        and len(form.get("ticket")) <= LONGEST_TICKET
    )
