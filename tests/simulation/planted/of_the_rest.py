"""Planted in carts and orders: what two do at once, and what is done although nobody knows."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hansa.kernel.errors import Fault
from hansa.kernel.ids import slot_of
from hansa.platform.database.idempotency import claim, decode, keep
from hansa.platform.database.platform_tables import GET_COMMAND
from hansa.platform.database.port import Transaction
from hansa.services.carts import rules, store
from hansa.services.carts.contract import Cart, CartClosed, CartLine, NotForSale
from hansa.services.carts.service import CartsService
from hansa.services.orders.contract import NoSuchOrder, Order, OrderConflict
from hansa.services.orders.service.handle import Handling
from hansa.services.orders.service.refund import Refunding
from hansa.services.orders.store import orders as orders_store
from hansa.services.orders.store.orders import Record
from hansa.services.orders.store.refunds import Request
from tests.simulation.planted.patching import replaced

IMPATIENT_S = 1.0


@contextmanager
def lost_update_in_the_cart() -> Iterator[None]:
    async def put_line(
        self: Any, *, key: str, cart: str, member: str | None, sku: str, quantity: int, locale: str
    ) -> Cart:
        kept = await self._find(cart, member)
        offers = await self._offers([sku, *(line.sku for line in kept.lines)], locale, kept.currency)
        if quantity and not rules.is_sold(CartLine(sku=sku, quantity=quantity), offers.get(sku)):
            raise NotForSale(sku=sku, currency=kept.currency)
        quantities = {line.sku: line.quantity for line in kept.lines} | {sku: quantity}
        lines = [CartLine(sku=each, quantity=number) for each, number in quantities.items() if number]
        async with self._database.write(slot_of(kept.cart_id)) as tx:
            present = (await store.lock(tx, cart_ids=[kept.cart_id]))[kept.cart_id]
            if not present.is_open:
                raise CartClosed()
            for line in present.lines:
                await store.remove_line(tx, cart_id=kept.cart_id, sku=line.sku)
            now = self._clock.now()
            await store.put_lines(tx, cart_id=kept.cart_id, lines=lines, now=now)
            await store.touch(tx, cart_id=kept.cart_id, currency=present.currency, now=now)
            changed = (await store.lock(tx, cart_ids=[kept.cart_id]))[kept.cart_id]
        return await self._shown(changed, locale)  # type: ignore[no-any-return]

    with replaced(CartsService, put_line=put_line):
        yield


@contextmanager
def answer_kept_later() -> Iterator[None]:
    async def once(
        self: Any, key: str, request: str, record: Record, act: Callable[[Transaction, Record], Awaitable[Record]]
    ) -> Order:
        now, books = self._books.clock.now(), self._books
        async with books.database.write(*record.slots) as tx:
            kept = await tx.one(GET_COMMAND, slot=record.slot, key=key)
            if kept is not None:
                return decode(kept["answer"], Order)
            latest = await orders_store.lock(tx, order_id=record.order.id)
            if latest is None:
                raise NoSuchOrder()
            order = (await act(tx, latest)).order
        async with books.database.write(*record.slots) as tx:
            if await claim(tx, slot=record.slot, key=key, request=request, now=now) is None:
                await keep(tx, slot=record.slot, key=key, answer=order)
        return order

    with replaced(Handling, _once=once):
        yield


@contextmanager
def unknown_is_failure() -> Iterator[None]:
    carry_out = Refunding._carry_out

    async def carried_out_or_not(self: Any, request: Request) -> Request:
        try:
            async with asyncio.timeout(IMPATIENT_S):
                return await carry_out(self, request)
        except (Fault, TimeoutError):
            record = await self._books.find(order=request.order_id)
            refused: Request = await self._refuse(request, OrderConflict(order_status=record.order.status))
            return refused

    with replaced(Refunding, _carry_out=carried_out_or_not):
        yield
