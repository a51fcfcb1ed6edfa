"""An order's own page, for whoever has its name: how it stands, what was paid for, where it is; and its cancelling."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from hansa.kernel.errors import Fault
from hansa.kernel.ids import split_name
from hansa.kernel.money import Money
from hansa.services.orders.contract import Entry, Fulfilment, NoSuchOrder, Order, OrderConflict, Orders
from hansa.services.products.contract import Image
from hansa.web.forms import Form, key_of
from hansa.web.pages import Book, Page
from hansa.web.storefront import addresses
from hansa.web.storefront.cart import basket
from hansa.web.storefront.catalogue import products_of
from hansa.web.storefront.shell import shown
from hansa.web.storefront.trail import trail
from hansa.web.visit import Moved, Shown, Visit

CONFLICT, LOST, UNFIT = 409, 404, 422
LONGEST_NAME = 500
TOLD = ("created", "placed", "rejected", "cancelled", "fulfilled", "completed", "returned", "refunded")
"""What of an order's history its buyer is told. What staff and the payments have been at in between is not."""
TONES = {"pending": "wait", "placed": "good", "completed": "good", "rejected": "bad"}


@dataclass(frozen=True, kw_only=True)
class ShownLine:
    """A line of an order. It leads to its product while that is sold."""

    sku: str
    name: str
    slug: str
    options: dict[str, str]
    picture: Image | None
    quantity: int
    unit_price: Money
    total: Money


@dataclass(frozen=True, kw_only=True)
class Event:
    """A step of the timeline. A parcel's has the fulfilment that went out."""

    kind: str
    at: str
    about: str = ""
    fulfilment: Fulfilment | None = None


def pages() -> Sequence[Page]:
    book = Book()

    @book.personal("orders/{name}")
    async def order(visit: Visit, *, name: str) -> Shown | Moved:
        found = await _find(visit, name)
        return found if isinstance(found, Moved) else await _order_page(visit, found)

    @book.personal("orders/{name}/cancel")
    async def cancelling(visit: Visit, *, name: str) -> Shown | Moved:
        """To be confirmed on a page of its own, which works everywhere."""
        found = await _find(visit, name)
        if isinstance(found, Moved):
            return found
        if not can_be_cancelled(found):
            return Moved(to=visit.url(f"orders/{name}"))
        return await shown(visit, "order_cancel.html", is_indexed=False, order=found, key=visit.ids.token())

    @book.act("orders/{name}/cancel")
    async def cancel(visit: Visit, form: Form, *, name: str) -> Shown | Moved:
        try:
            await visit.client(Orders).cancel(
                key=key_of(form, what="cancel", who=name), order=name, member=visit.who.member
            )
        except OrderConflict:
            found = await _find(visit, name)
            if isinstance(found, Moved):
                return found
            return await _order_page(visit, found, problem=visit.say("order.cancel.too_late"), status=CONFLICT)
        return Moved(to=visit.url(f"orders/{name}", cancelled="1"))

    @book.public("track")
    async def track(visit: Visit) -> Shown:
        return await shown(visit, "track.html", is_indexed=False, name="", problem="")

    @book.act("track")
    async def look_up(visit: Visit, form: Form) -> Shown | Moved:
        sent = form.get("order")[:LONGEST_NAME]
        name = name_in(sent)
        if name is not None and visit.who.member is None and "-" not in name:
            return Moved(to=visit.url("sign-in", next=visit.url(f"orders/{name}")))
        try:
            if name is not None:
                await visit.client(Orders).get(order=name, member=visit.who.member)
                return Moved(to=visit.url(f"orders/{name}"))
        except NoSuchOrder:
            pass
        problem = visit.say("track.wrong" if sent else "track.missing")
        return await shown(
            visit, "track.html", status=LOST if sent else UNFIT, is_indexed=False, name=sent, problem=problem
        )

    return book.pages


def name_in(text: str) -> str | None:
    """An order's name in what somebody has typed or pasted: the name, or the link that leads to it."""
    path = unquote(text).partition("?")[0].partition("#")[0]
    name = path.rpartition("/orders/")[2].partition("/")[0].strip()
    return name if split_name(name) else None


def can_be_cancelled(order: Order) -> bool:
    return order.status in ("pending", "placed") and not any(line.fulfilled for line in order.lines)


async def _find(visit: Visit, name: str) -> Order | Moved:
    """The order, or the way to sign in where that may be what is missing. Raises NoSuchOrder."""
    try:
        return await visit.client(Orders).get(order=name, member=visit.who.member)
    except NoSuchOrder:
        parts = split_name(name)
        if visit.who.member is None and parts is not None and not parts[1]:
            return Moved(to=visit.url("sign-in", next=visit.url(f"orders/{name}")))
        raise


async def _order_page(visit: Visit, order: Order, *, problem: str = "", status: int = 200) -> Shown:
    products = await products_of(visit, (line.product_id for line in order.lines))
    lines = []
    for line in order.lines:
        product = products.get(line.product_id)
        lines.append(
            ShownLine(
                sku=line.sku,
                name=line.name,
                slug=product.slug if product else "",
                options=line.options,
                picture=product.images[0] if product and product.images else None,
                quantity=line.quantity,
                unit_price=line.unit_price,
                total=line.total,
            )
        )
    names = {line.sku: line.name for line in order.lines}
    return await shown(
        visit,
        "order.html",
        status=status,
        is_indexed=False,
        order=order,
        lines=lines,
        names=names,
        trail=trail(visit, subtotal=order.subtotal, adjustments=order.adjustments, total=order.total, names=names),
        events=await _timeline(visit, order),
        address=addresses.written(visit, order.shipping_address),
        tone=TONES.get(order.status, ""),
        can_be_cancelled=can_be_cancelled(order),
        was_just_placed=visit.query.get("placed") == "1" and order.status in ("pending", "placed"),
        was_just_cancelled=visit.query.get("cancelled") == "1" and order.status == "cancelled",
        problem=problem,
        pieces=basket.pieces(await basket.find(visit)),
    )


async def _timeline(visit: Visit, order: Order) -> list[Event]:
    """What has happened, oldest first; only what the order itself says, where its history cannot be asked for."""
    try:
        entries = await visit.client(Orders).history(order_id=order.id.partition("-")[0])
    except Fault:
        return [Event(kind="created", at=visit.moment(order.created_at))]
    fulfilments = {fulfilment.id: fulfilment for fulfilment in order.fulfilments}
    return [_event(visit, order, entry, fulfilments) for entry in entries if entry.kind in TOLD]


def _event(visit: Visit, order: Order, entry: Entry, fulfilments: Mapping[str, Fulfilment]) -> Event:
    detail: Mapping[str, Any] = entry.detail
    about = ""
    if entry.kind == "refunded":
        about = visit.money(Money(int(detail["amount"]), order.currency))
    elif entry.kind == "rejected":
        about = visit.say_or(f"order.rejected.{detail.get('reason')}", visit.say("order.rejected.other"))
    fulfilment = fulfilments.get(str(detail.get("fulfilment_id"))) if entry.kind == "fulfilled" else None
    return Event(kind=entry.kind, at=visit.moment(entry.at), about=about, fulfilment=fulfilment)
