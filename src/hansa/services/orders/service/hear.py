"""What orders do about what happened elsewhere, within the transaction that notes that it was heard."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import structlog
from msgspec.structs import replace

from hansa.kernel.clock import from_micros, to_micros
from hansa.kernel.money import Money
from hansa.platform.database.port import Transaction
from hansa.services.orders.contract import OrderRefund
from hansa.services.orders.rules import history, states
from hansa.services.orders.rules.states import Standing
from hansa.services.orders.service import changes
from hansa.services.orders.service.books import Books
from hansa.services.orders.store import orders as store
from hansa.services.orders.store import refunds
from hansa.services.orders.store.orders import Record

log = structlog.get_logger()


class Hearing:
    """See the module. News of orders that are not in the books are no news."""

    def __init__(self, *, books: Books) -> None:
        self._books = books

    async def captured(self, tx: Transaction, amounts: Mapping[str, int]) -> None:
        """The money for these orders is there, so they are driven on at once. Money for what is over, payments gives
        back by itself. Those whose driver was told already, or is being told, are left to it: mostly all."""
        at = self._books.clock.now()
        standing = {
            str(row[0]): Standing(row[1], row[2], bool(row[3]), from_micros(row[4]))
            for row in await store.standing(tx, order_ids=list(amounts))
        }
        for order_id, amount in amounts.items():
            its_standing = standing.get(order_id)
            if its_standing is None or states.needs_news_of_capture(its_standing, amount=amount, at=at):
                await self._captured(tx, order_id=order_id, amount=amount)

    async def _captured(self, tx: Transaction, *, order_id: str, amount: int) -> None:
        record = await self._lock(tx, order_id)
        if record is not None:
            now = self._books.clock.now()
            payment = states.captured(record.order, amount=amount)
            await self._save(tx, record, replace(record, order=states.paid(record.order, payment=payment, at=now)), now)

    async def refund_ended(
        self, tx: Transaction, *, order_id: str, refund_id: str, amount: Money, state: Literal["refunded", "failed"]
    ) -> None:
        """The money is back with the buyer, or will not go there by this refund."""
        record = await self._lock(tx, order_id)
        if record is not None:
            now = self._books.clock.now()
            refund = OrderRefund(id=refund_id, amount=amount, state=state, reason="", created_at=now)
            await refunds.tell(tx, order_id=order_id, refund=refund)
            order = states.touched(record.order, at=now)
            if state == "refunded":  # news come in any order: what was given back had been taken
                taken = states.paid(record.order, payment=states.captured(record.order, amount=amount.amount), at=now)
                order = replace(order, payments=taken.payments)
            touched = replace(record, order=order)
            await changes.save(tx, touched, since=record, also=history.refund_news(record.order, refund))

    async def trouble(self, tx: Transaction, *, order_id: str) -> None:
        """The payment was refused, or the pieces are gone: whoever drives the order finds out whether that is so still,
        and what comes of it."""
        record = await self._lock(tx, order_id)
        if record is not None:
            await self._save(tx, record, record, self._books.clock.now())

    async def _lock(self, tx: Transaction, order_id: str) -> Record | None:
        record = await store.lock(tx, order_id=order_id)
        if record is None:
            log.warning("heard of an unknown order", order_id=order_id)
        return record

    async def _save(self, tx: Transaction, since: Record, record: Record, now: datetime) -> None:
        """Keep it, and have the order looked after at once if it is pending."""
        if since.order.status == "pending":
            record = replace(record, resume_at=to_micros(now))
        await changes.save(tx, record, since=since)
