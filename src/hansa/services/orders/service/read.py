"""Orders as their buyers and staff see them, one by one and in lists."""

from collections import Counter
from datetime import datetime
from typing import Annotated

import msgspec

from hansa.kernel.ids import LARGEST
from hansa.kernel.page import Page, read_cursor, write_cursor
from hansa.services.orders.contract import MOST_COUNTED, Entry, Order, OrderSummary, Sorting, Status, Summary
from hansa.services.orders.rules import answers, history, search
from hansa.services.orders.rules.search import Span
from hansa.services.orders.service.books import Books
from hansa.services.orders.store import history as store
from hansa.services.orders.store import lists

NEWEST: Sorting = "newest"
CURSORS: dict[Sorting, str] = {"newest": "orders", "oldest": "orders oldest"}
MOST_ENTRIES = 1_000
Position = Annotated[int, msgspec.Meta(ge=1, le=LARGEST)]


class Reading:
    """See the module."""

    def __init__(self, *, books: Books) -> None:
        self._books = books

    async def get(self, *, order: str, member: str | None) -> Order:
        record, contact = await self._books.owned(order=order, member=member)
        return answers.shown(record.order, contact=contact)

    async def get_for_staff(self, *, order_id: str) -> Order:
        record = await self._books.find(order=order_id)
        return await self._books.shown_to_staff(record, record.order)

    async def history(self, *, order_id: str) -> tuple[Entry, ...]:
        record = await self._books.find(order=order_id)
        async with self._books.database.read() as reader:
            entries = await store.entries_of(reader, order_id=record.order.id, limit=MOST_ENTRIES - 1)
        return (history.created(record.order, member=record.member), *entries)

    async def page_of_member(self, *, member: str, limit: int, cursor: str | None) -> Page[OrderSummary]:
        """Newest first. Raises CursorInvalid."""
        span = Span().narrowed(before=_position(NEWEST, cursor) or LARGEST)
        async with self._books.database.read() as reader:
            found = await lists.of_member(reader, member=member, after=span.after, before=span.before, limit=limit + 1)
        return _page(found, limit=limit, order=NEWEST)

    async def page_of_everybody(
        self, *, wanted: Span, status: Status | None, order: Sorting, limit: int, cursor: str | None
    ) -> Page[OrderSummary]:
        """What lies in a span, or those of a status. Raises CursorInvalid."""
        if (position := _position(order, cursor)) is not None:
            is_newest_first = order == NEWEST
            wanted = wanted.narrowed(before=position) if is_newest_first else wanted.narrowed(after=position)
        async with self._books.database.read() as reader:
            found = await lists.of_everybody(
                reader,
                after=wanted.after,
                before=wanted.before,
                limit=limit + 1,
                is_newest_first=order == NEWEST,
                status=status,
            )
        return _page(found, limit=limit, order=order)

    async def summary(self, *, since: datetime) -> Summary:
        span = search.span(q=None, since=since, until=None)
        async with self._books.database.read() as reader:
            pending = await lists.count(reader, status="pending", limit=MOST_COUNTED)
            to_fulfil = await lists.count(reader, status="placed", limit=MOST_COUNTED)
            sums = await lists.sums(reader, after=span.after, limit=MOST_COUNTED)
        sold = [each for each in sums if each.status in ("placed", "completed")]
        revenue: Counter[str] = Counter()
        for each in sold:
            revenue[each.currency] += each.total
        return Summary(
            placed=sum(each.orders for each in sold),
            pending=pending,
            to_fulfil=to_fulfil,
            revenue=dict(revenue),
            is_complete=sum(each.orders for each in sums) < MOST_COUNTED,
        )


def _position(order: Sorting, cursor: str | None) -> int | None:
    position = read_cursor(CURSORS[order], cursor, Position)
    return int(position[0]) if position else None


def _page(found: tuple[OrderSummary, ...], *, limit: int, order: Sorting) -> Page[OrderSummary]:
    """`found` is one more than the page holds, if there is one more."""
    items = found[:limit]
    more = write_cursor(CURSORS[order], int(items[-1].id)) if len(found) > limit else None
    return Page(items=items, next_cursor=more)
