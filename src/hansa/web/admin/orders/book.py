"""The list of all orders."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hansa.services.orders.contract import Orders
from hansa.web.admin.lists import PAGE, choice_of, cursor_of, filter_of, listed
from hansa.web.admin.shell import shown
from hansa.web.pages import Book, Page, Who
from hansa.web.visit import Shown, Visit

STATES = ("pending", "placed", "completed", "cancelled", "rejected")
ORDERS = ("newest", "oldest")
LONGEST_NUMBER = 100
DAY = timedelta(days=1)


def pages() -> Sequence[Page]:
    book = Book(who=Who.STAFF)

    @book.personal("admin/orders")
    async def orders(visit: Visit) -> Shown:
        status, order = choice_of(visit, "status", STATES), choice_of(visit, "order", ORDERS)
        q = filter_of(visit, "q")[:LONGEST_NUMBER]
        first, last = day_of(filter_of(visit, "from")), day_of(filter_of(visit, "to"))
        page = await visit.client(Orders).list_for_staff(
            status=status,
            q=q or None,
            placed_from=first,
            placed_to=last + DAY if last else None,
            order=order or "newest",
            limit=PAGE,
            cursor=cursor_of(visit),
        )
        filters = {"from": _text_of(first), "to": _text_of(last)}
        found = listed(visit, page, q=q, status=status, order=order, **filters)
        return await shown(visit, "orders/list.html", list=found, states=STATES)

    return book.pages


def day_of(text: str) -> datetime | None:
    """The beginning of a day such as `2026-11-30`, in UTC; None for what is no day."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return day if 2000 <= day.year < 2500 else None


def _text_of(day: datetime | None) -> str:
    return day.strftime("%Y-%m-%d") if day else ""
