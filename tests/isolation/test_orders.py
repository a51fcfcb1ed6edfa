"""An order is one order, and becomes one thing only, in whatever order two transactions on it meet."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any

import pytest
from sqlalchemy import bindparam, select

from hansa.kernel.channel import Channel
from hansa.kernel.ids import slot_of
from hansa.platform.database.port import Database
from hansa.platform.database.statement import Statement
from hansa.platform.security.sealing import Keyring
from hansa.services.orders.contract import (
    CartOrdered,
    FulfilmentDraft,
    FulfilmentLine,
    Order,
    OrderConflict,
    OrderDraft,
    RefundDraft,
    RefundTooLarge,
    TooMany,
)
from hansa.services.orders.events import OrderCancelled, OrderFulfilled, OrderPlaced, OrderRejected
from hansa.services.orders.service import OrdersService
from hansa.services.orders.tables import ORDERS
from tests.isolation.ground import KEYRING, Ground, said_of
from tests.isolation.stepping import Act, Explored, Scene, explore
from tests.services.orders import neighbours
from tests.services.orders.shop import draft

STAFF = "user:1"
_ORDERS_OF = Statement(
    select(ORDERS.c.order_id).where(ORDERS.c.slot == bindparam("of_slot"), ORDERS.c.member == bindparam("of_member"))
)


class Shop:
    """Orders of one process that prepares, and of two that meet, between neighbours that they share."""

    def __init__(self, ground: Ground, doors: Sequence[Database], keyring: Keyring) -> None:
        self.ground, self.doors, self.database = ground, doors, doors[0]
        self.carts = neighbours.Carts()
        self.inventory = neighbours.Inventory(clock=ground.clock, on_hand={"HAT": 1_000_000})
        self.payments = neighbours.Payments(clock=ground.clock, ids=ground.ids)
        self.one, self.two, self.three = [
            OrdersService(
                database=door,
                clock=ground.clock,
                ids=ids,
                channel=Channel(currencies=("EUR",)),
                keyring=keyring,
                carts=self.carts,  # type: ignore[arg-type]  # only what orders ask
                inventory=self.inventory,  # type: ignore[arg-type]
                payments=self.payments,  # type: ignore[arg-type]
                promotions=neighbours.Promotions(),  # type: ignore[arg-type]
                shipping=neighbours.Shipping(),  # type: ignore[arg-type]
            )
            for door, ids in zip(doors, ground.ids_of_all, strict=True)
        ]
        self.keyring = keyring
        self.made = 0

    async def member(self) -> str:
        """Somebody who has ordered nothing yet."""
        self.made += 1
        member = self.ground.ids.new(slot=self.made)
        await self.keyring.box(person=member)
        return member

    def place(
        self, orders: OrdersService, member: str, wanted: OrderDraft | None = None, *, key: str = "k"
    ) -> Awaitable[Order]:
        return orders.place(key=f"{member} {key}", draft=wanted or draft(), member=member, locale="en", currency="EUR")

    async def orders_of(self, member: str) -> list[str]:
        rows = await self.database.all(_ORDERS_OF, of_slot=slot_of(member), of_member=int(member))
        return [str(row["order_id"]) for row in rows]

    async def placed(self, *, pieces: int, sent: int = 0) -> Order:
        order = await self.place(self.one, await self.member(), draft(HAT=pieces))
        if sent:
            await self.fulfil(self.one, order, sent, key="sent")
        return order

    async def paid_meanwhile(self) -> tuple[str, Order]:
        """A member's order that is pending in the books, and paid at the provider's."""
        member = await self.member()
        order = await self.place(self.one, member, draft("tok_late"))
        self.payments.settle()
        self.payments.news.clear()
        return member, order

    def fulfil(self, orders: OrdersService, order: Order, pieces: int, *, key: str) -> Awaitable[Order]:
        wanted = FulfilmentDraft(lines=_pieces(pieces))
        return orders.fulfil(key=f"{order.id} {key}", order_id=order.id, draft=wanted, actor=STAFF)

    def refund(
        self, orders: OrdersService, order: Order, amount: int | None, *, key: str, restock: int = 0
    ) -> Awaitable[Order]:
        wanted = RefundDraft(amount=amount, restock=_pieces(restock))
        return orders.refund(key=f"{order.id} {key}", order_id=order.id, draft=wanted, actor=STAFF)

    async def capture_heard(self, number: int, orders: OrdersService, order: Order) -> None:
        """News of the money, within a transaction of the process of that number."""
        async with self.doors[number].write(slot_of(order.id)) as tx:
            await orders.payments_captured(tx, {order.id: order.total.amount})

    async def explore(self, prepare: Any, *, switches: int = 1) -> Explored:
        return await explore(self.ground.stage, prepare, switches=switches)

    def scene(self, order_id: str, first: Act, second: Act, expected: Any) -> Scene:
        """`expected` is told the order, the events about it, and the outcomes."""

        async def check(*outcomes: Any) -> None:
            order = await self.one.get_for_staff(order_id=order_id)
            events = await said_of(self.database, order_id)
            counted = Counter(events)
            assert all(counted[each.type] <= 1 for each in (OrderPlaced, OrderCancelled, OrderRejected))
            if OrderCancelled.type in events:
                assert events[-1] == OrderCancelled.type, "after the end nothing more is said"
                assert order.status == "cancelled"
            for line in order.lines:
                assert 0 <= line.returned <= line.fulfilled <= line.quantity - line.cancelled
            sent = sum(line.quantity for each in order.fulfilments for line in each.lines)
            assert sent == sum(line.fulfilled for line in order.lines)
            charge = self.payments.charges[order_id]
            assert charge.times_taken <= 1, "nobody is charged twice"
            expected(order, counted, *outcomes)

        return Scene((first, second), check)


def _pieces(quantity: int) -> tuple[FulfilmentLine, ...]:
    return (FulfilmentLine(sku="HAT", quantity=quantity),) if quantity else ()


@pytest.fixture
async def shop(ground: Ground) -> AsyncIterator[Shop]:
    async with ground.database("orders") as database, ground.database(KEYRING) as keys:
        keyring = Keyring(database=keys, master=bytes(32), clock=ground.clock)
        shop = Shop(ground, (database, *ground.stepped(database)), keyring)
        yield shop
        for orders in (shop.one, shop.two, shop.three):
            await orders.close()


async def test_the_same_key_at_once_is_one_order(shop: Shop) -> None:
    async def prepare() -> Scene:
        member = await shop.member()

        async def check(first: Any, second: Any) -> None:
            assert isinstance(first, Order)
            assert first.id == second.id
            assert await shop.orders_of(member) == [first.id]
            assert (await said_of(shop.database, first.id)) == [OrderPlaced.type]
            assert shop.payments.charges[first.id].times_taken == 1

        return Scene((lambda: shop.place(shop.two, member), lambda: shop.place(shop.three, member)), check)

    explored = await shop.explore(prepare)
    assert explored.waits > 0


async def test_one_cart_ordered_twice_at_once_is_one_order(shop: Shop) -> None:
    async def prepare() -> Scene:
        member = await shop.member()
        cart = shop.ground.ids.new(slot=slot_of(member))
        shop.carts.fill(cart, cart_id=cart, member=member, HAT=2)

        async def check(*outcomes: Any) -> None:
            assert {type(outcome) for outcome in outcomes} == {Order, CartOrdered}
            assert len(await shop.orders_of(member)) == 1

        return Scene(
            (
                lambda: shop.place(shop.two, member, draft(cart_id=cart), key="a"),
                lambda: shop.place(shop.three, member, draft(cart_id=cart), key="b"),
            ),
            check,
        )

    explored = await shop.explore(prepare)
    assert len(explored.outcomes) == 2, "either may be the one"


async def test_cancelling_while_the_order_is_driven_ends_it(shop: Shop) -> None:
    async def prepare() -> Scene:
        member, order = await shop.paid_meanwhile()
        shop.ground.clock.advance(31)

        def expected(order: Order, events: Counter[str], *outcomes: Any) -> None:
            assert order.status == "cancelled"

        return shop.scene(
            order.id,
            shop.two.resume,
            lambda: shop.three.cancel(key=order.id, order=order.id, member=member),
            expected,
        )

    await shop.explore(prepare)


async def test_of_two_sweeps_one_looks_after_an_order_and_places_it(shop: Shop) -> None:
    async def prepare() -> Scene:
        _, order = await shop.paid_meanwhile()
        shop.ground.clock.advance(31)

        def expected(order: Order, events: Counter[str], *outcomes: Any) -> None:
            assert order.status == "placed"
            assert events[OrderPlaced.type] == 1

        return shop.scene(order.id, shop.two.resume, shop.three.resume, expected)

    await shop.explore(prepare)


async def test_the_news_of_the_money_does_not_undo_the_end_of_an_order(shop: Shop) -> None:
    async def prepare() -> Scene:
        member, order = await shop.paid_meanwhile()

        def expected(order: Order, events: Counter[str], *outcomes: Any) -> None:
            assert order.status == "cancelled"
            assert order.payments[0].captured == order.total.amount

        return shop.scene(
            order.id,
            lambda: shop.capture_heard(1, shop.two, order),
            lambda: shop.three.cancel(key=order.id, order=order.id, member=member),
            expected,
        )

    await shop.explore(prepare)


async def test_two_who_send_out_never_send_more_than_was_ordered(shop: Shop) -> None:
    async def prepare() -> Scene:
        order = await shop.placed(pieces=3)

        def expected(order: Order, events: Counter[str], *outcomes: Any) -> None:
            assert {type(outcome) for outcome in outcomes} == {Order, TooMany}
            assert order.lines[0].fulfilled == 2
            assert events[OrderFulfilled.type] == 1

        return shop.scene(
            order.id,
            lambda: shop.fulfil(shop.two, order, 2, key="a"),
            lambda: shop.fulfil(shop.three, order, 2, key="b"),
            expected,
        )

    explored = await shop.explore(prepare)
    assert len(explored.outcomes) == 2


async def test_both_halves_are_sent_out_and_neither_is_forgotten(shop: Shop) -> None:
    async def prepare() -> Scene:
        order = await shop.placed(pieces=2)

        def expected(order: Order, events: Counter[str], *outcomes: Any) -> None:
            assert order.status == "completed"
            assert len(order.fulfilments) == 2

        return shop.scene(
            order.id,
            lambda: shop.fulfil(shop.two, order, 1, key="a"),
            lambda: shop.fulfil(shop.three, order, 1, key="b"),
            expected,
        )

    await shop.explore(prepare)


async def test_an_order_is_sent_out_or_cancelled_but_not_both(shop: Shop) -> None:
    async def prepare() -> Scene:
        order = await shop.placed(pieces=2)

        def expected(order: Order, events: Counter[str], *outcomes: Any) -> None:
            assert {type(outcome) for outcome in outcomes} == {Order, OrderConflict}
            assert (order.status == "cancelled") == (order.lines[0].fulfilled == 0)

        return shop.scene(
            order.id,
            lambda: shop.fulfil(shop.two, order, 1, key="a"),
            lambda: shop.three.cancel_for_staff(key=order.id, order_id=order.id, actor=STAFF),
            expected,
        )

    explored = await shop.explore(prepare)
    assert len(explored.outcomes) == 2


async def test_two_refunds_give_back_no_more_than_was_paid(shop: Shop) -> None:
    async def prepare() -> Scene:
        order = await shop.placed(pieces=1)

        def expected(order: Order, events: Counter[str], *outcomes: Any) -> None:
            assert {type(outcome) for outcome in outcomes} == {Order, RefundTooLarge}
            assert [refund.amount.amount for refund in order.refunds] == [2000]

        return shop.scene(
            order.id,
            lambda: shop.refund(shop.two, order, 2000, key="a"),
            lambda: shop.refund(shop.three, order, 2000, key="b"),
            expected,
        )

    explored = await shop.explore(prepare)
    assert len(explored.outcomes) == 2


async def test_pieces_come_back_once_though_two_refunds_name_them(shop: Shop) -> None:
    async def prepare() -> Scene:
        order = await shop.placed(pieces=2, sent=1)

        def expected(order: Order, events: Counter[str], *outcomes: Any) -> None:
            assert {type(outcome) for outcome in outcomes} == {Order, TooMany}
            assert order.lines[0].returned == 1
            assert len(order.refunds) == 1

        return shop.scene(
            order.id,
            lambda: shop.refund(shop.two, order, 100, key="a", restock=1),
            lambda: shop.refund(shop.three, order, 100, key="b", restock=1),
            expected,
        )

    explored = await shop.explore(prepare)
    assert len(explored.outcomes) == 2


async def test_one_refund_asked_for_twice_is_given_once(shop: Shop) -> None:
    async def prepare() -> Scene:
        order = await shop.placed(pieces=2, sent=1)

        def expected(order: Order, events: Counter[str], first: Any, second: Any) -> None:
            assert first == second
            assert [refund.amount.amount for refund in order.refunds] == [100]
            assert order.lines[0].returned == 1

        return shop.scene(
            order.id,
            lambda: shop.refund(shop.two, order, 100, key="a", restock=1),
            lambda: shop.refund(shop.three, order, 100, key="a", restock=1),
            expected,
        )

    await shop.explore(prepare)


async def test_a_refund_and_a_cancellation_do_not_both_change_the_order(shop: Shop) -> None:
    async def prepare() -> Scene:
        order = await shop.placed(pieces=2)

        def expected(order: Order, events: Counter[str], refunded: Any, cancelled: Any) -> None:
            assert order.status == "cancelled", "nothing was sent, so the buyer may have it all back"
            assert len(order.refunds) == (0 if isinstance(refunded, OrderConflict) else 1)

        return shop.scene(
            order.id,
            lambda: shop.refund(shop.two, order, 100, key="a"),
            lambda: shop.three.cancel_for_staff(key=order.id, order_id=order.id, actor=STAFF),
            expected,
        )

    await shop.explore(prepare)
