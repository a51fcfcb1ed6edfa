"""What buyers and staff do with an order that is there: see it, cancel it, send it out, give money back."""

import asyncio

import pytest
from sqlalchemy import select

from hansa.kernel.errors import Fault, IdempotencyKeyReused
from hansa.kernel.ids import slot_of
from hansa.kernel.page import CursorInvalid
from hansa.platform.database.platform_tables import AUDIT
from hansa.platform.database.statement import Statement
from hansa.services.orders.contract import (
    FulfilmentDraft,
    FulfilmentLine,
    NoSuchOrder,
    Order,
    OrderConflict,
    RefundDraft,
    RefundTooLarge,
    TooMany,
)
from hansa.services.orders.events import OrderCancelled, OrderFulfilled, OrderRejected
from tests.services.orders.shop import ADDRESS, EMAIL, MEMBER, OTHER_MEMBER, Shop, draft

STAFF = "user:1"


def bare(order: Order) -> str:
    return order.id.partition("-")[0]


def pieces(**by_sku: int) -> tuple[FulfilmentLine, ...]:
    return tuple(FulfilmentLine(sku=sku, quantity=quantity) for sku, quantity in by_sku.items())


# -- who may see what


async def test_a_guests_order_is_seen_by_its_whole_name_only(shop: Shop):
    order = await shop.place("k1")
    secret = order.id.partition("-")[2]
    forged = secret[:-1] + ("y" if secret.endswith("x") else "x")

    for name in [bare(order), f"{bare(order)}-", f"{bare(order)}-{forged}", "nonsense", "", "ü-x", "1" * 30]:
        for member in (None, MEMBER):
            with pytest.raises(NoSuchOrder):
                await shop.orders.get(order=name, member=member)
            with pytest.raises(NoSuchOrder):
                await shop.orders.cancel(key="c1", order=name, member=member)
    assert await shop.orders.get(order=order.id, member=MEMBER) == order


async def test_a_members_order_is_seen_by_that_member_only(shop: Shop):
    order = await shop.place("k1", member=MEMBER)

    for member in (None, OTHER_MEMBER):
        with pytest.raises(NoSuchOrder):
            await shop.orders.get(order=order.id, member=member)
        with pytest.raises(NoSuchOrder):
            await shop.orders.cancel(key="c1", order=order.id, member=member)


async def test_staff_see_every_order_but_not_a_guests_secret(shop: Shop):
    order = await shop.place("k1")

    for name in (order.id, bare(order)):
        seen = await shop.orders.get_for_staff(order_id=name)
        assert (seen.id, seen.email, seen.shipping_address) == (bare(order), EMAIL, ADDRESS)


async def test_of_an_erased_person_the_order_stays(shop: Shop):
    order = await shop.place("k1", member=MEMBER)
    await shop.keyring.erase(person=MEMBER)

    seen = await shop.orders.get_for_staff(order_id=order.id)

    assert seen.total == order.total
    assert (seen.email, seen.shipping_address.name, seen.shipping_address.country) == ("-", "-", "GB")


async def test_an_erased_guests_name_opens_nothing(shop: Shop):
    order = await shop.place("k1")
    await shop.keyring.erase(person=f"order:{bare(order)}")

    for name in (order.id, bare(order)):
        with pytest.raises(NoSuchOrder):
            await shop.orders.get(order=name, member=None)


async def test_orders_are_listed_newest_first_page_by_page(shop: Shop):
    mine = []
    for number in range(5):
        shop.clock.advance(1)
        mine.append((await shop.place(f"k{number}", member=MEMBER)).id)
    await shop.place("other", member=OTHER_MEMBER)

    listed: list[str] = []
    cursor = None
    while True:
        page = await shop.orders.list(member=MEMBER, limit=2, cursor=cursor)
        listed += [order.id for order in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert listed == mine[::-1]
    with pytest.raises(CursorInvalid):
        await shop.orders.list(member=MEMBER, cursor="x")


async def test_staff_list_orders_by_status(shop: Shop):
    placed = await shop.place("k1")
    pending = await shop.place("k2", draft("tok_late", HAT=3))

    everything = await shop.orders.list_for_staff()
    waiting = await shop.orders.list_for_staff(status="pending")

    assert {order.id for order in everything.items} == {bare(placed), bare(pending)}
    assert [(order.id, order.pieces, order.total) for order in waiting.items] == [(bare(pending), 3, pending.total)]


# -- cancelling


@pytest.mark.parametrize("token", ["tok_success", "tok_late"])
async def test_a_cancelled_order_gives_everything_back(shop: Shop, token: str):
    order = await shop.place("k1", draft(token))

    cancelled = await shop.orders.cancel(key="c1", order=order.id, member=None)
    await shop.settle()

    assert (cancelled.status, cancelled.reason, cancelled.id) == ("cancelled", "buyer", order.id)
    assert await shop.orders.cancel(key="c1", order=order.id, member=None) == cancelled
    assert len(shop.events(OrderCancelled)) == 1
    assert shop.inventory.available("HAT") == 1000
    await shop.audit()


async def test_a_cancelled_order_cannot_be_cancelled_by_another_act(shop: Shop):
    order = await shop.place("k1")
    await shop.orders.cancel(key="c1", order=order.id, member=None)

    with pytest.raises(OrderConflict) as refused:
        await shop.orders.cancel(key="c2", order=order.id, member=None)
    assert refused.value.order_status == "cancelled"


async def test_a_cart_whose_order_was_cancelled_before_it_was_placed_can_be_ordered_again(shop: Shop):
    shop.carts.fill("cart", cart_id=shop.ids.new(slot=5), member=None, HAT=1)
    pending = await shop.place("k1", draft("tok_late", cart_id="cart"))
    await shop.orders.cancel(key="c1", order=pending.id, member=None)

    assert (await shop.place("k2", draft(cart_id="cart"))).status == "placed"


async def test_staff_cancel_any_order_and_leave_a_trace(shop: Shop):
    order = await shop.place("k1", member=MEMBER)

    cancelled = await shop.orders.cancel_for_staff(key="c1", order_id=order.id, actor=STAFF)

    assert (cancelled.status, cancelled.reason) == ("cancelled", "staff")
    assert await traces(shop) == [("orders.cancel", STAFF, order.id)]


async def traces(shop: Shop) -> list[tuple[str, str, str]]:
    rows = await shop.database.all(Statement(select(AUDIT.c.action, AUDIT.c.actor, AUDIT.c.target)))
    return [(row["action"], row["actor"], row["target"]) for row in rows]


@pytest.mark.parametrize("token", ["tok_success", "tok_declined", "tok_late"])
@pytest.mark.parametrize("step", ["before Inventory.reserve", "before Payments.charge", "after Payments.charge"])
async def test_who_cancels_while_the_bank_is_thinking_has_cancelled(near_shop: Shop, step: str, token: str):
    if (step, token) == ("after Payments.charge", "tok_declined"):
        return  # then it is too late: the answer is a no, which takes no step
    gate = near_shop.trouble.hold(step)
    placing = asyncio.create_task(near_shop.place("k1", draft(token), member=MEMBER))
    while step not in near_shop.trouble.steps:
        await asyncio.sleep(0.001)
    [order_id] = await near_shop.statuses()

    cancelled = await near_shop.orders.cancel(key="c1", order=order_id, member=MEMBER)
    gate.set()
    answer = await placing
    await near_shop.settle()

    assert cancelled.status == answer.status == "cancelled"
    assert (await near_shop.place("k1", draft(token), member=MEMBER)).status == "cancelled"
    assert not near_shop.events(OrderRejected)
    await near_shop.audit()


async def test_many_cancel_and_pay_at_once(near_shop: Shop):
    orders = [await near_shop.place(f"k{number}", draft("tok_late"), member=MEMBER) for number in range(6)]

    await asyncio.gather(
        near_shop.settle(),
        *(near_shop.orders.cancel(key=f"c{order.id}", order=order.id, member=MEMBER) for order in orders),
    )

    await near_shop.settle()
    assert set((await near_shop.statuses()).values()) == {"cancelled"}
    await near_shop.audit()


# -- sending out


async def test_pieces_are_sent_out_until_the_order_is_completed(shop: Shop):
    order = await shop.place("k1", draft(HAT=3, SHOE=1))

    some = FulfilmentDraft(lines=pieces(HAT=2))
    first = await shop.orders.fulfil(key="f1", order_id=bare(order), draft=some, actor=STAFF)
    rest = await shop.orders.fulfil(key="f2", order_id=bare(order), draft=FulfilmentDraft(), actor=STAFF)
    await shop.deliver()

    assert (first.status, [line.fulfilled for line in first.lines]) == ("placed", [2, 0])
    assert (rest.status, [line.fulfilled for line in rest.lines]) == ("completed", [3, 1])
    assert [{line.sku: line.quantity for line in each.lines} for each in rest.fulfilments] == [
        {"HAT": 2},
        {"HAT": 1, "SHOE": 1},
    ]
    assert [event.is_complete for event in shop.events(OrderFulfilled)] == [False, True]
    assert [trace[0] for trace in await traces(shop)] == ["orders.fulfil", "orders.fulfil"]
    assert await shop.orders.fulfil(key="f1", order_id=bare(order), draft=some, actor=STAFF) == first


async def test_no_more_is_sent_out_than_was_ordered(shop: Shop):
    order = await shop.place("k1", draft(HAT=3))

    for wrong, left in [(pieces(HAT=4), 3), (pieces(SHOE=1), 0)]:
        with pytest.raises(TooMany) as refused:
            await shop.orders.fulfil(key="f1", order_id=bare(order), draft=FulfilmentDraft(lines=wrong), actor=STAFF)
        assert refused.value.left == left


async def test_many_who_send_out_at_once_never_send_more_than_was_ordered(near_shop: Shop):
    order = await near_shop.place("k1", draft(HAT=5))

    answers = await asyncio.gather(
        *(
            near_shop.orders.fulfil(
                key=f"f{number}", order_id=bare(order), draft=FulfilmentDraft(lines=pieces(HAT=2)), actor=STAFF
            )
            for number in range(6)
        ),
        return_exceptions=True,
    )

    assert sorted(type(answer).__name__ for answer in answers) == ["Order"] * 2 + ["TooMany"] * 4
    seen = await near_shop.orders.get_for_staff(order_id=bare(order))
    assert (seen.lines[0].fulfilled, len(seen.fulfilments)) == (4, 2)


async def test_what_is_not_placed_is_not_sent_out_and_what_was_sent_is_not_cancelled(shop: Shop):
    pending = await shop.place("k1", draft("tok_late"))
    with pytest.raises(OrderConflict):
        await shop.orders.fulfil(key="f1", order_id=bare(pending), draft=FulfilmentDraft(), actor=STAFF)
    order = await shop.place("k2", draft(HAT=2))
    await shop.orders.fulfil(key="f2", order_id=bare(order), draft=FulfilmentDraft(lines=pieces(HAT=1)), actor=STAFF)
    with pytest.raises(OrderConflict):
        await shop.orders.cancel(key="c1", order=order.id, member=None)
    with pytest.raises(NoSuchOrder):
        await shop.orders.fulfil(key="f3", order_id="7", draft=FulfilmentDraft(), actor=STAFF)


async def test_a_key_of_one_act_is_not_good_for_another(shop: Shop):
    order = await shop.place("k1", draft(HAT=2))
    await shop.orders.fulfil(key="f1", order_id=bare(order), draft=FulfilmentDraft(lines=pieces(HAT=1)), actor=STAFF)

    with pytest.raises(IdempotencyKeyReused):
        await shop.orders.fulfil(key="f1", order_id=bare(order), draft=FulfilmentDraft(), actor=STAFF)


# -- giving money back


async def test_money_goes_back_in_parts_and_then_the_rest(shop: Shop):
    order = await shop.place("k1")

    part = await shop.orders.refund(
        key="r1", order_id=bare(order), draft=RefundDraft(amount=100, reason="scratched"), actor=STAFF
    )
    rest = await shop.orders.refund(key="r2", order_id=bare(order), draft=RefundDraft(), actor=STAFF)
    await shop.deliver()

    assert [(refund.amount.amount, refund.state, refund.reason) for refund in part.refunds] == [
        (100, "refunded", "scratched")
    ]
    assert rest.payments[0].refunded == order.total.amount
    seen = await shop.orders.get_for_staff(order_id=bare(order))
    assert [refund.amount.amount for refund in seen.refunds] == [100, order.total.amount - 100]
    assert [trace[0] for trace in await traces(shop)] == ["orders.refund", "orders.refund"]


async def test_the_same_key_refunds_once(shop: Shop):
    order = await shop.place("k1")
    asked = RefundDraft(amount=100)

    first = await shop.orders.refund(key="r1", order_id=bare(order), draft=asked, actor=STAFF)
    again = await asyncio.gather(
        *(shop.orders.refund(key="r1", order_id=bare(order), draft=asked, actor=STAFF) for _ in range(5))
    )

    assert again == [first] * 5
    assert shop.payments.charges[bare(order)].payment.refunded == 100
    with pytest.raises(IdempotencyKeyReused):
        await shop.orders.refund(key="r1", order_id=bare(order), draft=RefundDraft(amount=101), actor=STAFF)


async def test_refunds_that_take_their_time_are_pending_until_the_money_is_back(shop: Shop):
    shop.payments.refunds_are_slow = True
    order = await shop.place("k1")

    asked = await shop.orders.refund(key="r1", order_id=bare(order), draft=RefundDraft(amount=100), actor=STAFF)
    assert ([refund.state for refund in asked.refunds], asked.payments[0].refunded) == (["pending"], 0)
    await shop.deliver()

    seen = await shop.orders.get_for_staff(order_id=bare(order))
    assert ([refund.state for refund in seen.refunds], seen.payments[0].refunded) == (["refunded"], 100)


async def test_a_refund_that_is_declined_late_is_shown_as_failed_and_may_be_asked_for_anew(shop: Shop):
    order = await shop.place("k1")
    shop.payments.declines_refunds = True
    first = await shop.orders.refund(key="r1", order_id=bare(order), draft=RefundDraft(reason="scratched"), actor=STAFF)
    assert [refund.state for refund in first.refunds] == ["pending"]
    await shop.deliver()

    seen = await shop.orders.get_for_staff(order_id=bare(order))
    assert [(refund.state, refund.reason) for refund in seen.refunds] == [("failed", "scratched")]
    assert seen.version > first.version
    assert (
        await shop.orders.refund(key="r1", order_id=bare(order), draft=RefundDraft(reason="scratched"), actor=STAFF)
        == first
    )
    shop.payments.declines_refunds = False
    again = await shop.orders.refund(key="r2", order_id=bare(order), draft=RefundDraft(), actor=STAFF)
    assert sorted(refund.state for refund in again.refunds) == ["failed", "refunded"]
    assert again.payments[0].refunded == order.total.amount


async def test_news_that_a_refund_failed_may_overtake_the_answer_that_it_is_pending(near_shop: Shop):
    order = await near_shop.place("k1")
    near_shop.payments.declines_refunds = True
    gate = near_shop.trouble.hold("after Payments.refund")
    asking = asyncio.create_task(
        near_shop.orders.refund(key="r1", order_id=bare(order), draft=RefundDraft(reason="scratched"), actor=STAFF)
    )
    while "after Payments.refund" not in near_shop.trouble.steps:
        await asyncio.sleep(0.001)
    await near_shop.deliver()
    gate.set()

    answer = await asking
    assert [(refund.state, refund.reason) for refund in answer.refunds] == [("failed", "scratched")]


async def test_news_of_a_refund_may_overtake_the_news_of_the_payment(near_shop: Shop):
    """Nobody reads of more given back than was taken."""
    [order_id] = [bare(await near_shop.place("k1", draft("tok_late")))]
    order = await near_shop.orders.cancel_for_staff(key="c1", order_id=order_id, actor=STAFF)
    process = near_shop.process()
    refund_id = near_shop.ids.new(slot=slot_of(order_id))
    async with near_shop.database.write(slot_of(order_id)) as tx:
        await process.payment_refunded(tx, order_id=order_id, refund_id=refund_id, amount=order.total)

    seen = await near_shop.orders.get_for_staff(order_id=order_id)
    assert (seen.payments[0].captured, seen.payments[0].refunded) == (order.total.amount, order.total.amount)


async def test_a_refund_under_way_when_the_service_is_closed_is_carried_out_after_the_next_start(near_shop: Shop):
    order = await near_shop.place("k1")
    gate = near_shop.trouble.hold("before Payments.refund")
    asked = asyncio.create_task(
        near_shop.orders.refund(key="r1", order_id=bare(order), draft=RefundDraft(), actor=STAFF)
    )
    while "before Payments.refund" not in near_shop.trouble.steps:
        await asyncio.sleep(0.001)

    await near_shop.service.close()

    async with asyncio.timeout(1):
        with pytest.raises(Fault):
            await asked
    gate.set()
    near_shop.restart()
    await near_shop.pass_time(20)
    seen = await near_shop.orders.get_for_staff(order_id=bare(order))
    assert seen.payments[0].refunded == order.total.amount


async def test_no_more_goes_back_than_was_taken_and_the_pieces_stay_out_then(shop: Shop):
    order = await shop.place("k1", draft(HAT=2))
    await shop.orders.fulfil(key="f1", order_id=bare(order), draft=FulfilmentDraft(), actor=STAFF)
    greedy = RefundDraft(amount=order.total.amount + 1, restock=pieces(HAT=1))

    for _ in range(2):
        with pytest.raises(RefundTooLarge) as refused:
            await shop.orders.refund(key="r1", order_id=bare(order), draft=greedy, actor=STAFF)
        assert refused.value.refundable == order.total.amount

    seen = await shop.orders.get_for_staff(order_id=bare(order))
    assert (seen.lines[0].returned, seen.refunds) == (0, ())
    assert shop.inventory.available("HAT") == 998


async def test_returned_pieces_are_for_sale_again_but_never_more_than_were_sent(shop: Shop):
    order = await shop.place("k1", draft(HAT=3))
    await shop.orders.fulfil(key="f1", order_id=bare(order), draft=FulfilmentDraft(lines=pieces(HAT=2)), actor=STAFF)

    answers = await asyncio.gather(
        *(
            shop.orders.refund(
                key=f"r{number}",
                order_id=bare(order),
                draft=RefundDraft(amount=10, restock=pieces(HAT=1)),
                actor=STAFF,
            )
            for number in range(4)
        ),
        return_exceptions=True,
    )

    assert sorted(type(answer).__name__ for answer in answers) == ["Order"] * 2 + ["TooMany"] * 2
    assert shop.inventory.available("HAT") == 999
    assert shop.payments.charges[bare(order)].payment.refunded == 20


@pytest.mark.parametrize("token", ["tok_late", "tok_success"])
async def test_what_is_not_placed_is_not_refunded_by_hand(shop: Shop, token: str):
    order = await shop.place("k1", draft(token))
    if token == "tok_success":
        await shop.orders.cancel(key="c1", order=order.id, member=None)

    with pytest.raises(OrderConflict):
        await shop.orders.refund(key="r1", order_id=bare(order), draft=RefundDraft(), actor=STAFF)


async def test_old_keys_are_forgotten(small_shop: Shop):
    await small_shop.place("k1")
    small_shop.clock.advance(31 * 24 * 3600)

    await small_shop.service.forget_keys()

    await small_shop.place("k1")
    assert len(await small_shop.statuses()) == 2
