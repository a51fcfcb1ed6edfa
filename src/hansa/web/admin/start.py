"""The first room: how the shop stands at this moment, and what waits for somebody."""

from collections.abc import Sequence
from datetime import datetime

from hansa.kernel.errors import Fault
from hansa.kernel.money import Money
from hansa.kernel.page import LARGEST_PAGE
from hansa.platform.jobs.transfers import Transfer
from hansa.services.orders.contract import Orders, OrderSummary, Summary
from hansa.web.admin.shell import shown
from hansa.web.pages import Book, Page, Who
from hansa.web.visit import Shown, Visit

ORDERS_SHOWN = 8
TRANSFERS_LOOKED_AT = 20


def pages() -> Sequence[Page]:
    book = Book(who=Who.STAFF)

    @book.personal("admin")
    async def start(visit: Visit) -> Shown:
        summary = await _summary(visit)
        return await shown(
            visit,
            "start.html",
            summary=summary,
            revenue=[Money(amount, currency) for currency, amount in sorted(summary.revenue.items())]
            if summary
            else [],
            waiting=await _waiting(visit),
            letters=await _letters(visit),
            most_letters=LARGEST_PAGE,
            transfers=await _running(visit),
        )

    return book.pages


async def _summary(visit: Visit) -> Summary | None:
    """Of today, which begins at midnight UTC; None while orders cannot be asked."""
    try:
        return await visit.client(Orders).summary(since=midnight(visit.site.clock.now()))
    except Fault:
        return None


def midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


async def _waiting(visit: Visit) -> Sequence[OrderSummary]:
    """The orders that have waited longest to be sent."""
    try:
        page = await visit.client(Orders).list_for_staff(status="placed", order="oldest", limit=ORDERS_SHOWN)
    except Fault:
        return ()
    return page.items


async def _letters(visit: Visit) -> int | None:
    """How many dead letters there are, up to a page of them; None where nobody keeps any."""
    office = visit.site.tools.get("dead_letters")
    return len((await office.list(limit=LARGEST_PAGE)).items) if office else None


async def _running(visit: Visit) -> Sequence[Transfer]:
    transfers = visit.site.tools.get("transfers")
    if transfers is None:
        return ()
    page = await transfers.list(limit=TRANSFERS_LOOKED_AT)
    return [transfer for transfer in page.items if not transfer.is_finished]
