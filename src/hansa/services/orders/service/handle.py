"""What staff and buyers do with an order that is there: cancel it, send it out."""

from collections.abc import Awaitable, Callable

from hansa.platform.database.idempotency import claim, decode, digest, keep
from hansa.platform.database.port import Transaction
from hansa.services.orders.contract import FulfilmentDraft, NoSuchOrder, Order
from hansa.services.orders.rules import answers, history, states
from hansa.services.orders.service import changes
from hansa.services.orders.service.books import Books
from hansa.services.orders.store import orders as store
from hansa.services.orders.store.orders import Record

Act = Callable[[Transaction, Record], Awaitable[Record]]


class Handling:
    """See the module."""

    def __init__(self, *, books: Books) -> None:
        self._books = books

    async def cancel(self, *, key: str, order: str, member: str | None) -> Order:
        record, contact = await self._books.owned(order=order, member=member)

        async def act(tx: Transaction, latest: Record) -> Record:
            return await changes.cancel(
                tx, latest, by=states.BY_BUYER, actor=history.actor_of_buyer(member), at=self._books.clock.now()
            )

        cancelled = await self._once(key, digest("cancel", record.order.id), record, act)
        return answers.shown(cancelled, contact=contact)

    async def cancel_for_staff(self, *, key: str, order_id: str, actor: str) -> Order:
        record = await self._books.find(order=order_id)

        async def act(tx: Transaction, latest: Record) -> Record:
            cancelled = await changes.cancel(tx, latest, by=states.BY_STAFF, actor=actor, at=self._books.clock.now())
            await self._books.audit(tx, cancelled, actor=actor, action="orders.cancel", detail={})
            return cancelled

        cancelled = await self._once(key, digest("cancel_for_staff", record.order.id), record, act)
        return await self._books.shown_to_staff(record, cancelled)

    async def fulfil(self, *, key: str, order_id: str, draft: FulfilmentDraft, actor: str) -> Order:
        record = await self._books.find(order=order_id)
        fulfilment_id = self._books.ids.new(slot=record.slot)

        async def act(tx: Transaction, latest: Record) -> Record:
            order = states.fulfilled(latest.order, draft=draft, fulfilment_id=fulfilment_id, at=self._books.clock.now())
            sent = {line.sku: line.quantity for line in order.fulfilments[-1].lines}
            await self._books.audit(tx, latest, actor=actor, action="orders.fulfil", detail={"lines": sent})
            return await changes.fulfil(tx, latest, order, actor=actor)

        fulfilled = await self._once(key, digest("fulfil", record.order.id, draft), record, act)
        return await self._books.shown_to_staff(record, fulfilled)

    async def _once(self, key: str, request: str, record: Record, act: Act) -> Order:
        """Do it with the locked order, keeping the answer with its key in the same commit; or find the answer kept."""
        now = self._books.clock.now()
        async with self._books.database.write(*record.slots) as tx:
            kept = await claim(tx, slot=record.slot, key=key, request=request, now=now)
            if kept is not None:
                return decode(kept, Order)
            latest = await store.lock(tx, order_id=record.order.id)
            if latest is None:
                raise NoSuchOrder()
            order = (await act(tx, latest)).order
            await keep(tx, slot=record.slot, key=key, answer=order)
            return order
