"""Giving money back: written down, asked of payments, then answered; whatever dies meanwhile, each is done once."""

import structlog
from msgspec.structs import replace

from hansa.kernel.clock import to_micros
from hansa.kernel.errors import BusinessError, ErrorRecord, IdempotencyKeyReused, record_error
from hansa.kernel.money import Money
from hansa.platform.database.idempotency import digest
from hansa.platform.database.port import Transaction
from hansa.platform.resilience.single_flight import Flights
from hansa.services.inventory.contract import Inventory, Line
from hansa.services.orders.contract import (
    NoSuchOrder,
    Order,
    OrderConflict,
    OrderRefund,
    RefundDraft,
    RefundTooLarge,
)
from hansa.services.orders.rules import answers, history, states
from hansa.services.orders.service import changes
from hansa.services.orders.service.books import Books
from hansa.services.orders.store import orders as store
from hansa.services.orders.store import refunds
from hansa.services.orders.store.orders import Record
from hansa.services.orders.store.refunds import Request
from hansa.services.payments import contract as payments
from hansa.services.payments.contract import Payments

MOST_DUE = 64
"""Refunds looked after in one sweep, one after the other."""
PATIENCE_S = 13.0
"""How long whoever asks waits, a little less than the contract's time-out; the refund goes on without them."""
ERRORS = (OrderConflict, RefundTooLarge)

log = structlog.get_logger()


class Refunding:
    """See the module."""

    def __init__(self, *, books: Books, inventory: Inventory, payments: Payments) -> None:
        self._books = books
        self._inventory = inventory
        self._payments = payments
        self._flights: Flights[Request] = Flights()

    async def refund(self, *, key: str, order_id: str, draft: RefundDraft, actor: str) -> Order:
        record = await self._books.find(order=order_id)
        request = await self._ask(key=key, record=record, draft=draft, actor=actor)
        if request.answer is None:
            request = await self._settled(request, patience_s=PATIENCE_S)
        contact = answers.for_staff(record.order, await self._books.contact(record))
        return answers.replayed(request.answer, contact=contact, declared=ERRORS)

    async def close(self) -> None:
        """Break off what is being carried out; it is due again after the next start."""
        await self._flights.close()

    async def resume(self) -> None:
        """Carry out what was asked for and not answered yet; harmless when done twice at once."""
        now = self._books.clock.now()
        for request in await refunds.due(self._books.database, at=now, limit=MOST_DUE):
            async with self._books.database.write(request.slot) as tx:
                next_at = states.next_look(attempts=request.attempts, at=now)
                is_ours = await refunds.postpone(tx, request, next_at=next_at)
            if not is_ours:
                continue
            try:
                await self._settled(request)
            except Exception:  # one refund must not hurt its neighbours; it is due again soon
                log.warning("refund not carried out", order_id=request.order_id, exc_info=True)

    async def _ask(self, *, key: str, record: Record, draft: RefundDraft, actor: str) -> Request:
        """Write down what is asked, and that the pieces are back; or find what was asked with this key before."""
        now = self._books.clock.now()
        asked = Request(
            key=key,
            request=digest(record.order.id, draft),
            order_id=record.order.id,
            amount=draft.amount,
            reason=draft.reason,
            restock=draft.restock,
            answer=None,
            attempts=0,
            resume_at=to_micros(now + states.FIRST_LOOK),
            asked_at=now,
        )
        async with self._books.database.write(record.slot) as tx:
            if await refunds.ask(tx, asked):
                latest = await self._lock(tx, record.order.id)
                states.check_refundable(latest.order)
                back = states.returned(latest.order, restock=draft.restock, at=now)
                told = history.refund_asked(back, draft=draft, actor=actor)
                await changes.save(tx, replace(latest, order=back), since=latest, actor=actor, also=[told])
                await self._books.audit(
                    tx, latest, actor=actor, action="orders.refund", detail={"amount": draft.amount, "key": key}
                )
                return asked
            known = await refunds.find(tx, slot=record.slot, key=key)
        if known is None or known.request != asked.request:
            raise IdempotencyKeyReused()
        return known

    async def _settled(self, request: Request, *, patience_s: float | None = None) -> Request:
        """The request with its answer. Raises Fault where it is not known yet."""
        name = f"{request.order_id} {request.key}"
        return await self._flights.share(name, lambda: self._carry_out(request), patience_s=patience_s)

    async def _carry_out(self, request: Request) -> Request:
        record = await self._books.find(order=request.order_id)
        amount = None if request.amount is None else Money(request.amount, record.order.currency)
        act = digest(request.order_id, request.key)  # so that no other caller's key is in the way
        try:
            refund = await self._payments.refund(
                key=f"orders.refund {act}", order_id=request.order_id, amount=amount, reason=request.reason
            )
        except payments.RefundTooLarge as error:
            return await self._refuse(request, RefundTooLarge(refundable=error.refundable))
        except (payments.NoSuchPayment, payments.RefundInvalid):
            return await self._refuse(request, OrderConflict(order_status=record.order.status))
        if request.restock:
            back = tuple(Line(sku=line.sku, quantity=line.quantity) for line in request.restock)
            await self._inventory.take_back(key=f"orders.restock {act}", order_id=request.order_id, lines=back)

        return await self._record(request, refund)

    async def _record(self, request: Request, refund: payments.Refund) -> Request:
        now = self._books.clock.now()
        async with self._books.database.write(request.slot) as tx:
            latest = await self._lock(tx, request.order_id)
            if (known := await self._answered(tx, request)) is not None:
                return known
            told = OrderRefund(
                id=refund.id, amount=refund.amount, state=refund.state, reason=request.reason, created_at=now
            )
            await refunds.tell(tx, order_id=request.order_id, refund=told)
            touched = replace(latest, order=states.touched(latest.order, at=now))
            await changes.save(tx, touched, since=latest, also=history.refund_news(latest.order, told))
            refunded = await self._lock(tx, request.order_id)
            return await self._answer(tx, request, refunded.order)

    async def _refuse(self, request: Request, error: BusinessError) -> Request:
        """Nothing is given back, so the pieces did not come back for it either."""
        now = self._books.clock.now()
        async with self._books.database.write(request.slot) as tx:
            latest = await self._lock(tx, request.order_id)
            if (known := await self._answered(tx, request)) is not None:
                return known
            order = states.not_returned(latest.order, restock=request.restock, at=now)
            told = history.refund_refused(order, code=error.code)
            await changes.save(tx, replace(latest, order=order), since=latest, also=[told])
            return await self._answer(tx, request, record_error(error))

    async def _lock(self, tx: Transaction, order_id: str) -> Record:
        record = await store.lock(tx, order_id=order_id)
        if record is None:
            raise NoSuchOrder()
        return record

    async def _answered(self, tx: Transaction, request: Request) -> Request | None:
        """The request, if somebody else has carried it out. Whoever holds the order's row alone may."""
        known = await refunds.find(tx, slot=request.slot, key=request.key)
        return None if known is None or known.answer is None else known

    async def _answer(self, tx: Transaction, request: Request, answer: Order | ErrorRecord) -> Request:
        kept = answers.kept(answer)
        await refunds.answer(tx, request, first=kept)
        return replace(request, answer=kept, resume_at=None)
