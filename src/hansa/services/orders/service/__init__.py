"""What orders do: each use case is a module here, and this is the whole of them."""

from collections.abc import Mapping
from datetime import datetime

from hansa.kernel.channel import Channel
from hansa.kernel.clock import Clock
from hansa.kernel.ids import Ids
from hansa.kernel.money import Money
from hansa.kernel.page import Page
from hansa.platform.database.port import Database, Transaction
from hansa.platform.messaging.following import Following
from hansa.platform.outbox.inbox import REMEMBERED
from hansa.platform.security.sealing import Keyring
from hansa.services.carts.contract import Carts
from hansa.services.inventory.contract import Inventory
from hansa.services.orders.contract import (
    Entry,
    FlashDraft,
    FollowPass,
    FulfilmentDraft,
    Order,
    OrderDraft,
    OrderSummary,
    RefundDraft,
    Sorting,
    Status,
    Summary,
)
from hansa.services.orders.rules import search
from hansa.services.orders.service.books import Books
from hansa.services.orders.service.drive import Driver
from hansa.services.orders.service.flash import FlashSales
from hansa.services.orders.service.follow import Admitting
from hansa.services.orders.service.handle import Handling
from hansa.services.orders.service.hear import Hearing
from hansa.services.orders.service.place import PATIENCE_S, Placing
from hansa.services.orders.service.read import Reading
from hansa.services.orders.service.refund import Refunding
from hansa.services.orders.store import claims
from hansa.services.payments.contract import Payments
from hansa.services.promotions.contract import Promotions
from hansa.services.shipping.contract import Shipping


class OrdersService:
    """Orders, from a quote to the end. See the contract. `resuming` has what is due looked after at once."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ids: Ids,
        channel: Channel,
        keyring: Keyring,
        carts: Carts,
        inventory: Inventory,
        payments: Payments,
        promotions: Promotions,
        shipping: Shipping,
        following: Following | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._books = Books(database=database, clock=clock, ids=ids, keyring=keyring)
        flash_sales = FlashSales(promotions=promotions)
        self._driver = Driver(
            books=self._books, inventory=inventory, payments=payments, flash_sales=flash_sales, channel=channel
        )
        self._placing = Placing(
            books=self._books,
            driver=self._driver,
            carts=carts,
            payments=payments,
            shipping=shipping,
            flash_sales=flash_sales,
            channel=channel,
            patience_s=patience_s,
        )
        self._handling = Handling(books=self._books)
        self._refunding = Refunding(books=self._books, inventory=inventory, payments=payments)
        self._reading = Reading(books=self._books)
        self._hearing = Hearing(books=self._books)
        self._admitting = Admitting(books=self._books, following=following)
        self.resuming = self._driver.resuming

    # What buyers ask

    async def place(self, *, key: str, draft: OrderDraft, member: str | None, locale: str, currency: str) -> Order:
        return await self._placing.place(key=key, draft=draft, member=member, locale=locale, currency=currency)

    async def buy(self, *, key: str, sale_id: str, draft: FlashDraft, member: str, locale: str) -> Order:
        return await self._placing.buy(key=key, sale_id=sale_id, draft=draft, member=member, locale=locale)

    async def get(self, *, order: str, member: str | None) -> Order:
        return await self._reading.get(order=order, member=member)

    async def follow(self, *, order: str, member: str | None) -> FollowPass:
        return await self._admitting.follow(order=order, member=member)

    async def list(self, *, member: str, limit: int = 20, cursor: str | None = None) -> Page[OrderSummary]:
        return await self._reading.page_of_member(member=member, limit=limit, cursor=cursor)

    async def cancel(self, *, key: str, order: str, member: str | None) -> Order:
        return await self._handling.cancel(key=key, order=order, member=member)

    # What staff ask

    async def cancel_for_staff(self, *, key: str, order_id: str, actor: str) -> Order:
        return await self._handling.cancel_for_staff(key=key, order_id=order_id, actor=actor)

    async def get_for_staff(self, *, order_id: str) -> Order:
        return await self._reading.get_for_staff(order_id=order_id)

    async def list_for_staff(
        self,
        *,
        status: Status | None = None,
        q: str | None = None,
        placed_from: datetime | None = None,
        placed_to: datetime | None = None,
        order: Sorting = "newest",
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page[OrderSummary]:
        wanted = search.span(q=q, since=placed_from, until=placed_to)
        return await self._reading.page_of_everybody(
            wanted=wanted, status=status, order=order, limit=limit, cursor=cursor
        )

    async def history(self, *, order_id: str) -> tuple[Entry, ...]:
        return await self._reading.history(order_id=order_id)

    async def summary(self, *, since: datetime) -> Summary:
        return await self._reading.summary(since=since)

    async def fulfil(self, *, key: str, order_id: str, draft: FulfilmentDraft, actor: str) -> Order:
        return await self._handling.fulfil(key=key, order_id=order_id, draft=draft, actor=actor)

    async def refund(self, *, key: str, order_id: str, draft: RefundDraft, actor: str) -> Order:
        return await self._refunding.refund(key=key, order_id=order_id, draft=draft, actor=actor)

    # What is heard: each within the transaction that notes it

    async def payments_captured(self, tx: Transaction, amounts: Mapping[str, int]) -> None:
        await self._hearing.captured(tx, amounts)

    async def payment_failed(self, tx: Transaction, *, order_id: str) -> None:
        await self._hearing.trouble(tx, order_id=order_id)

    async def payment_refunded(self, tx: Transaction, *, order_id: str, refund_id: str, amount: Money) -> None:
        await self._hearing.refund_ended(tx, order_id=order_id, refund_id=refund_id, amount=amount, state="refunded")

    async def payment_refund_failed(self, tx: Transaction, *, order_id: str, refund_id: str, amount: Money) -> None:
        await self._hearing.refund_ended(tx, order_id=order_id, refund_id=refund_id, amount=amount, state="failed")

    async def reservation_expired(self, tx: Transaction, *, order_id: str) -> None:
        await self._hearing.trouble(tx, order_id=order_id)

    # What is done again and again

    async def resume(self) -> None:
        """Look after the pending orders that are due."""
        await self._driver.resume()

    async def resume_refunds(self) -> None:
        """Carry out the refunds that were asked for and have no answer yet."""
        await self._refunding.resume()

    async def forget_keys(self) -> None:
        """Drop keys that are older than any repetition can be."""
        async with self._books.database.write() as tx:
            await claims.forget_keys(tx, before=self._books.clock.now() - REMEMBERED)

    async def close(self) -> None:
        """Break off what nobody waits for any more: all of it is resumed after the next start."""
        await self._placing.close()
        await self._refunding.close()
        await self._driver.close()
