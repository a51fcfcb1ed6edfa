"""Driving an order to its end: admit, reserve, charge, sell, place; anybody may repeat each step with the order's id.

Whoever placed it, whoever repeats that, and the sweeper all do the same. A process may die anywhere: a pending order
is always due to be looked after at some time.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import structlog

from hansa.kernel.channel import Channel
from hansa.kernel.errors import BusinessError, Fault
from hansa.kernel.ids import slot_of
from hansa.platform.database.batcher import Batcher
from hansa.platform.database.port import Transaction
from hansa.platform.jobs.soon import Soon
from hansa.platform.resilience.single_flight import Flights
from hansa.platform.security.sealing import PersonErased
from hansa.services.inventory.contract import Inventory, Line, OutOfStock, ReservationGone
from hansa.services.orders.contract import Contact, OrderPayment
from hansa.services.orders.rules import answers, states
from hansa.services.orders.rules.answers import Overdue
from hansa.services.orders.service import changes
from hansa.services.orders.service.books import Books
from hansa.services.orders.service.changes import Certain
from hansa.services.orders.service.flash import FlashSales
from hansa.services.orders.store import lists
from hansa.services.orders.store import orders as store
from hansa.services.orders.store.orders import Record
from hansa.services.payments.contract import NoSuchPayment, NoSuchProvider, PaymentConflict, PaymentDeclined, Payments
from hansa.services.promotions.contract import ADMIT_ERRORS

TOKEN_CONTEXT = "orders.payment_token"
MOST_DUE = 256
"""Orders looked after in one sweep."""
DRIVEN_AT_ONCE = 16
MOST_RESUMING = 4
"""Sweeps at once that events have asked for."""

REFUSALS = (OutOfStock, PaymentDeclined, PaymentConflict, NoSuchProvider, PersonErased, Overdue, *ADMIT_ERRORS)
"""After which an order comes to nothing, unless it was paid already."""

log = structlog.get_logger()


class Fresh(NamedTuple):
    """An order just made, with what is sealed in it still in the clear."""

    record: Record
    contact: Contact
    token: str


class Uncertain(Exception):
    """Nobody knows yet whether money has moved, so the order stays pending."""


class Driver:
    """See the module. `resuming` has a sweep made at once."""

    def __init__(
        self, *, books: Books, inventory: Inventory, payments: Payments, flash_sales: FlashSales, channel: Channel
    ) -> None:
        self._books = books
        self._flash_sales = flash_sales
        self._inventory = inventory
        self._payments = payments
        self._channel = channel
        self._flights: Flights[Record] = Flights()
        self._placing: Batcher[Certain, Record | None] = Batcher(
            database=books.database, act=self._place_all, slots=lambda certain: (certain.record.slot,)
        )
        self.resuming = Soon(self.resume, name="orders.resume", most=MOST_RESUMING)

    async def drive(self, *, order_id: str, fresh: Fresh | None = None) -> Record:
        """The order as far as it goes by now: still `pending` where the payment is not certain yet.

        `fresh` is the order if it was just made, which nobody has charged yet. Raises Fault where it broke before money
        moved, or where what had come of it could not be written down.
        """
        return await self._flights.share(order_id, lambda: self._drive(order_id, fresh))

    async def _drive(self, order_id: str, fresh: Fresh | None) -> Record:
        record = fresh.record if fresh else await self._books.find(order=order_id)
        if record.order.status != "pending":
            return record
        try:  # no transaction is open: a slow bank holds no rows
            payment = await self._payment(record, fresh)
            with uncertain_after_fault():
                await self._inventory.sell(key=order_id, order_id=order_id)
        except Uncertain:
            return record
        except REFUSALS as error:
            return await self._reject(record, error, even_if_paid=False)
        except ReservationGone as error:
            return await self._reject(record, error, even_if_paid=True)

        placed = await self._placing.submit(Certain(record=record, payment=payment))
        return placed or await self._place(record, payment)

    async def _place_all(self, tx: Transaction, certain: Sequence[Certain]) -> Sequence[Record | None]:
        return await changes.place_all(tx, certain, at=self._books.clock.now())

    async def _place(self, record: Record, payment: OrderPayment) -> Record:
        """Place an order that has changed since it was read."""
        async with self._books.database.write(record.slot) as tx:
            latest = await store.lock(tx, order_id=record.order.id) or record
            if latest.order.status != "pending":
                return latest  # cancelled meanwhile: its event gives pieces and money back
            return await changes.place(tx, latest, payment=payment, at=self._books.clock.now())

    async def _payment(self, record: Record, fresh: Fresh | None) -> OrderPayment:
        """The payment once it is made. The pieces are held before any money moves."""
        order = record.order
        if states.is_paid(order):
            return order.payments[0]
        payment = None if fresh else await self._payment_known(record)
        is_overdue = states.is_overdue(order, at=self._books.clock.now())
        if payment is None:
            if is_overdue:
                raise Overdue()
            await self._flash_sales.admit(record)
            await self._reserve(record)
            payment = await self._charge(record, token=fresh.token if fresh else await self._token(record))
        if payment.state in ("failed", "voided"):
            raise PaymentDeclined()
        if payment.state != states.CAPTURED:
            raise Overdue() if is_overdue else Uncertain()
        return payment

    async def _payment_known(self, record: Record) -> OrderPayment | None:
        """What payments knows of the order's payment by now; None if it was never asked for one."""
        order = record.order
        try:
            return states.payment_of(await self._payments.of_order(order_id=order.id))
        except NoSuchPayment:
            return None
        except Fault as fault:
            is_given_up = states.is_given_up(order, at=self._books.clock.now())
            raise (Overdue() if is_given_up else Uncertain()) from fault

    async def _reserve(self, record: Record) -> None:
        order = record.order
        await self._inventory.reserve(
            key=order.id,
            order_id=order.id,
            lines=tuple(Line(sku=line.sku, quantity=line.quantity) for line in order.lines),
            locations=self._channel.locations,
            expires_at=states.reserved_until(order),
        )

    async def _token(self, record: Record) -> str:
        box = await self._books.keyring.box(person=record.person)
        return box.open(record.token, str, context=TOKEN_CONTEXT)

    async def _charge(self, record: Record, *, token: str) -> OrderPayment:
        order = record.order
        with uncertain_after_fault():
            payment = await self._payments.charge(
                key=order.id,
                order_id=order.id,
                provider=order.payments[0].provider,
                token=token,
                amount=order.total,
            )
        return states.payment_of(payment)

    async def _reject(self, record: Record, error: BusinessError, *, even_if_paid: bool) -> Record:
        """Only an order whose pieces are gone is rejected after it was paid; any other is driven on next time."""
        async with self._books.database.write(*record.slots) as tx:
            latest = await store.lock(tx, order_id=record.order.id) or record
            is_paid = states.is_paid(latest.order) and not even_if_paid
            if latest.order.status != "pending" or is_paid:
                return latest
            refusal = answers.refusal(error, order_id=record.order.id)
            return await changes.reject(tx, latest, refusal, at=self._books.clock.now())

    async def resume(self) -> None:
        """Look after the pending orders that are due. Each is looked after by one sweep; two would do no harm."""
        now = self._books.clock.now()
        due = await lists.due(self._books.database, at=now, limit=MOST_DUE)
        if not due:
            return
        async with self._books.database.write(*{slot_of(each.order_id) for each in due}) as tx:
            ours = await lists.postpone(tx, [(each, states.next_look(attempts=each.attempts, at=now)) for each in due])
        room = asyncio.Semaphore(DRIVEN_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for order_id in ours:
                group.create_task(self._resume_one(order_id, room))

    async def _resume_one(self, order_id: str, room: asyncio.Semaphore) -> None:
        async with room:
            try:
                await self.drive(order_id=order_id)
            except Exception:  # one order must not hurt its neighbours; it is due again soon
                log.warning("order not driven", order_id=order_id, exc_info=True)

    async def close(self) -> None:
        """Break off what is being driven; it is due again after the next start."""
        await self.resuming.close()
        await self._flights.close()
        await self._placing.close()


@contextmanager
def uncertain_after_fault() -> Iterator[None]:
    """What broke may have happened: wait and see, for money may have moved."""
    try:
        yield
    except Fault as fault:
        log.warning("an order waits for certainty", fault=str(fault))
        raise Uncertain() from fault
