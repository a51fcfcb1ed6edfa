"""The public HTTP routes of orders."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from hansa.kernel.ids import is_id
from hansa.kernel.page import Limit, Page
from hansa.platform.http.errors import BodyInvalid
from hansa.platform.http.route import ANYONE, MEMBER, STAFF_ONLY, Api, Call, Route
from hansa.services.orders.contract import (
    Entry,
    FlashDraft,
    FollowPass,
    FulfilmentDraft,
    Moment,
    Order,
    OrderDraft,
    Orders,
    OrderSummary,
    RefundDraft,
    Search,
    Sorting,
    Status,
)
from hansa.services.orders.contract.flash import NoSuchFlashSale


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A page of one's own orders."""

    limit: Limit = 20
    cursor: str | None = None


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to an order, oldest first."""

    items: tuple[Entry, ...]


class StaffListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A page of everybody's orders that meet every condition given. `q` is an order's number or id; `placed_to` is the
    first moment that is too late."""

    status: Status | None = None
    q: Search | None = None
    placed_from: Moment | None = None
    placed_to: Moment | None = None
    order: Sorting = "newest"
    limit: Limit = 20
    cursor: str | None = None


def routes(orders: Orders) -> Sequence[Route]:
    api = Api("orders")

    @api.post("/orders", access=ANYONE, calls=Orders.place, needs_key=True)
    async def place_order(call: Call, *, body: OrderDraft) -> Order:
        """Order a cart or lines. A payment that is not certain yet leaves the order pending."""
        return await orders.place(
            key=call.key, draft=body, member=call.user_id, locale=call.locale, currency=call.currency
        )

    @api.post("/flash-sales/{sale_id}/orders", access=MEMBER, calls=Orders.buy, needs_key=True)
    async def buy_at_flash_sale(call: Call, *, sale_id: str, body: FlashDraft) -> Order:
        """Buy at a flash sale, with the ticket that it hands out from its start on. First come, first served."""
        if not is_id(sale_id):
            raise NoSuchFlashSale()
        return await orders.buy(
            key=call.key, sale_id=sale_id, draft=body, member=call.user_id or "", locale=call.locale
        )

    @api.get("/orders", access=MEMBER, calls=Orders.list)
    async def list_orders(call: Call, *, query: ListQuery) -> Page[OrderSummary]:
        """The signed-in member's orders, newest first."""
        return await orders.list(member=call.user_id or "", limit=query.limit, cursor=query.cursor)

    @api.get("/orders/{order}", access=ANYONE, calls=(Orders.get, Orders.get_for_staff))
    async def get_order(call: Call, *, order: str) -> Order:
        """One's own order: a member's by its id, a guest's by its whole name. Staff see any."""
        if call.is_staff:
            return await orders.get_for_staff(order_id=order)
        return await orders.get(order=order, member=call.user_id)

    @api.post("/orders/{order}/follow", access=ANYONE, calls=Orders.follow)
    async def follow_order(call: Call, *, order: str) -> FollowPass:
        """A pass to hear of one's own order as it goes on, by MQTT or STOMP; it opens nothing else. Each device asks
        for its own."""
        return await orders.follow(order=order, member=call.user_id)

    @api.post(
        "/orders/{order}/cancel",
        access=ANYONE,
        calls=(Orders.cancel, Orders.cancel_for_staff),
        needs_key=True,
        status=200,
    )
    async def cancel_order(call: Call, *, order: str) -> Order:
        """Cancel an order of which nothing was sent. Staff may cancel any."""
        if call.is_staff:
            return await orders.cancel_for_staff(key=call.key, order_id=order, actor=call.actor)
        return await orders.cancel(key=call.key, order=order, member=call.user_id)

    @api.get("/admin/orders", access=STAFF_ONLY, calls=Orders.list_for_staff)
    async def list_all_orders(call: Call, *, query: StaffListQuery) -> Page[OrderSummary]:
        """All orders, or those that are looked for."""
        return await orders.list_for_staff(
            status=query.status,
            q=query.q,
            placed_from=_in_utc(query.placed_from, "placed_from"),
            placed_to=_in_utc(query.placed_to, "placed_to"),
            order=query.order,
            limit=query.limit,
            cursor=query.cursor,
        )

    @api.get("/admin/orders/{order_id}/history", access=STAFF_ONLY, calls=Orders.history)
    async def get_order_history(call: Call, *, order_id: str) -> History:
        """What happened to an order, when, and who did it."""
        return History(items=await orders.history(order_id=order_id))

    @api.post("/admin/orders/{order_id}/fulfilments", access=STAFF_ONLY, calls=Orders.fulfil, needs_key=True)
    async def fulfil_order(call: Call, *, order_id: str, body: FulfilmentDraft) -> Order:
        """Send pieces out; without lines, all that is left."""
        return await orders.fulfil(key=call.key, order_id=order_id, draft=body, actor=call.actor)

    @api.post("/admin/orders/{order_id}/refunds", access=STAFF_ONLY, calls=Orders.refund, needs_key=True)
    async def refund_order(call: Call, *, order_id: str, body: RefundDraft) -> Order:
        """Give money back; without an amount, all that is left."""
        return await orders.refund(key=call.key, order_id=order_id, draft=body, actor=call.actor)

    return api.routes


def _in_utc(moment: datetime | None, name: str) -> datetime | None:
    """At the ends of the calendar an offset from UTC leads out of it, where no wire can follow."""
    try:
        return None if moment is None else moment.astimezone(UTC)
    except OverflowError:
        raise BodyInvalid(reason="there is no such moment in UTC", pointer=f"/{name}") from None
