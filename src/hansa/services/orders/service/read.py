"""Orders as their buyers and staff see them, one by one and in lists."""

from typing import Annotated

import msgspec

from hansa.kernel.ids import LARGEST
from hansa.kernel.page import Page, read_cursor, write_cursor
from hansa.services.orders.contract import Order, OrderSummary, Status
from hansa.services.orders.rules import answers
from hansa.services.orders.service.books import Books
from hansa.services.orders.store import lists

CURSOR = "orders"
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

    async def page(
        self, *, limit: int, cursor: str | None, member: str | None = None, status: Status | None = None
    ) -> Page[OrderSummary]:
        """A member's orders, those with a status, or all. Raises CursorInvalid."""
        position = read_cursor(CURSOR, cursor, Position)
        async with self._books.database.read() as reader:
            found = await lists.summaries(
                reader, limit=limit + 1, before=position[0] if position else None, member=member, status=status
            )
        items = found[:limit]
        more = write_cursor(CURSOR, int(items[-1].id)) if len(found) > limit else None
        return Page(items=items, next_cursor=more)
