"""Flash sales in public: to look at, to wait for, and for staff to announce. What is bought there belongs to orders."""

from collections.abc import Sequence
from typing import Protocol

import msgspec
from starlette.responses import Response

from hansa.kernel.errors import BusinessError
from hansa.kernel.ids import is_id
from hansa.kernel.page import Limit, Page
from hansa.platform.http.early import Early, EarlyHook
from hansa.platform.http.problems import refuse
from hansa.platform.http.route import ANYONE, MEMBER, STAFF_ONLY, Api, Call, Route
from hansa.services.promotions.contract import (
    FlashSale,
    FlashSaleDraft,
    FlashSaleRecord,
    FlashSales,
    NoSuchFlashSale,
    Place,
    Promotions,
    TicketGiven,
)


class FlashSalesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A page of all flash sales."""

    limit: Limit = 20
    cursor: str | None = None


MOST_ANSWERS = 64
"""Ready-made refusals, one for each sale."""


class TurnAway(Protocol):
    """Why a member certainly has no chance now; the same error as long as nothing has changed. None says nothing."""

    def __call__(self, *, sale_id: str, member: str) -> BusinessError | None: ...


def routes(promotions: Promotions) -> Sequence[Route]:
    api = Api("promotions")

    @api.get("/flash-sales", access=ANYONE, calls=Promotions.list)
    async def list_flash_sales(call: Call) -> FlashSales:
        """The flash sales that run or are to come, the first to start first."""
        return await promotions.list()

    @api.get("/flash-sales/{sale_id}", access=ANYONE, calls=Promotions.get)
    async def get_flash_sale(call: Call, *, sale_id: str) -> FlashSale:
        """A flash sale: its state, roughly what is left, and what the server's clock says."""
        return await promotions.get(sale_id=_id(sale_id))

    @api.get("/flash-sales/{sale_id}/ticket", access=MEMBER, calls=Promotions.ticket)
    async def get_flash_sale_ticket(call: Call, *, sale_id: str) -> TicketGiven:
        """The ticket that a member must show to buy; handed out from the start on."""
        return await promotions.ticket(sale_id=_id(sale_id), member=call.user_id or "")

    @api.get("/flash-sales/{sale_id}/place", access=MEMBER, calls=Promotions.place)
    async def get_flash_sale_place(call: Call, *, sale_id: str) -> Place:
        """Where the member stands in the line of those who want to buy."""
        return await promotions.place(sale_id=_id(sale_id), member=call.user_id or "")

    @api.post("/admin/flash-sales", access=STAFF_ONLY, calls=Promotions.create)
    async def create_flash_sale(call: Call, *, body: FlashSaleDraft) -> FlashSaleRecord:
        """Announce a flash sale."""
        return await promotions.create(key=call.key, draft=body, actor=call.actor)

    @api.get("/admin/flash-sales", access=STAFF_ONLY, calls=Promotions.list_for_staff)
    async def list_flash_sale_records(call: Call, *, query: FlashSalesQuery) -> Page[FlashSaleRecord]:
        """All flash sales, newest first."""
        return await promotions.list_for_staff(limit=query.limit, cursor=query.cursor)

    @api.get("/admin/flash-sales/{sale_id}", access=STAFF_ONLY, calls=Promotions.record)
    async def get_flash_sale_record(call: Call, *, sale_id: str) -> FlashSaleRecord:
        """A flash sale with all its figures."""
        return await promotions.record(sale_id=_id(sale_id))

    @api.post("/admin/flash-sales/{sale_id}/cancel", access=STAFF_ONLY, calls=Promotions.cancel, status=200)
    async def cancel_flash_sale(call: Call, *, sale_id: str) -> FlashSaleRecord:
        """End a flash sale now."""
        return await promotions.cancel(key=call.key, sale_id=_id(sale_id), actor=call.actor)

    return api.routes


def turning_away(turn_away: TurnAway) -> EarlyHook:
    """What stands at the door of the route that buys, named `sale_id` in its path: ready-made bytes for the hopeless.

    Whoever this process has not seen signed in goes on, and is told by the route itself.
    """
    answers: dict[str, tuple[BusinessError, Response]] = {}

    def early(request: Early) -> Response | None:
        if request.member is None:
            return None
        sale_id = request.path.get("sale_id", "")
        why = turn_away(sale_id=sale_id, member=request.member.user_id)
        if why is None:
            return None
        ready = answers.get(sale_id)
        if ready is None or ready[0] is not why:
            if len(answers) >= MOST_ANSWERS:
                answers.clear()
            ready = answers[sale_id] = (why, refuse(why, correlation=""))
        return ready[1]

    return early


def _id(name: str) -> str:
    """What cannot be an id is the name of nothing."""
    if not is_id(name):
        raise NoSuchFlashSale()
    return name
