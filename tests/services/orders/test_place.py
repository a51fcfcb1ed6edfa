"""Placing an order: the same key finds the same order, and every no leaves nothing held."""

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from hansa.kernel.errors import BusinessError, CommandInFlight, Fault, IdempotencyKeyReused
from hansa.kernel.ids import slot_of, slot_of_value
from hansa.kernel.money import Money
from hansa.services.inventory.events import ReservationExpired
from hansa.services.orders.contract import (
    CONTACT_CONTEXT,
    AddressIncomplete,
    CartEmpty,
    CartOrdered,
    Contact,
    Delivery,
    InvalidDraft,
    LineDraft,
    NoSuchCart,
    NoSuchProvider,
    NotDeliverable,
    NotForSale,
    Order,
    OutOfStock,
    PaymentDeclined,
    PaymentDraft,
    QuoteChanged,
)
from hansa.services.orders.events import OrderPlaced, OrderRejected
from hansa.services.payments.events import PaymentFailed
from tests.services.orders.shop import ADDRESS, EMAIL, MEMBER, OTHER_MEMBER, Shop, draft
from tests.services.orders.trouble import Broken


async def test_a_guest_places_an_order_and_is_given_its_name(shop: Shop):
    order = await shop.place("k1", draft(HAT=2, SHOE=1))

    assert order.status == "placed"
    assert "-" in order.id
    assert [(line.sku, line.quantity, line.total.amount) for line in order.lines] == [
        ("HAT", 2, 3998),
        ("SHOE", 1, 5000),
    ]
    added = sum(each.amount.amount for each in order.adjustments if not each.included)
    assert order.total == Money(order.subtotal.amount + added, "EUR")
    assert order.payments[0].captured == order.total.amount
    assert (order.email, order.shipping_address) == (EMAIL, ADDRESS)
    assert await shop.orders.get(order=order.id, member=None) == order
    await shop.audit()


async def test_a_members_order_lies_in_the_members_slot_and_is_named_by_its_id(shop: Shop):
    order = await shop.place("k1", member=MEMBER)

    assert slot_of(order.id) == slot_of(MEMBER)
    assert await shop.orders.get(order=order.id, member=MEMBER) == order


async def test_a_guests_order_lies_with_the_cart_or_else_with_the_key(shop: Shop):
    cart_id = shop.ids.new(slot=9)
    shop.carts.fill("cart", cart_id=cart_id, member=None, HAT=1)

    of_cart = await shop.place("k1", draft(cart_id="cart"))
    of_lines = await shop.place("k2")

    assert slot_of(of_cart.id.partition("-")[0]) == 9
    assert slot_of(of_lines.id.partition("-")[0]) == slot_of_value("k2")


async def test_the_event_says_enough_and_nothing_personal_in_the_clear(shop: Shop):
    order = await shop.place("k1", draft(HAT=2), member=MEMBER)
    await shop.deliver()

    [event] = shop.events(OrderPlaced)
    [envelope] = [each for each in shop.published if each.type == OrderPlaced.type]
    assert (event.order_id, event.number, event.total) == (order.id, order.number, order.total)
    assert EMAIL.encode() not in bytes(envelope.body)
    assert b"Lovelace" not in bytes(envelope.body)
    box = await shop.keyring.box(person=event.person)
    assert box.open(event.contact, Contact, context=CONTACT_CONTEXT).email == EMAIL


async def test_the_same_key_again_gives_the_first_answer(shop: Shop):
    first = await shop.place("k1")
    await shop.orders.cancel(key="c1", order=first.id, member=None)
    shop.restart()

    assert await shop.place("k1") == first
    assert len(await shop.statuses()) == 1


@pytest.mark.parametrize("token", ["tok_success", "tok_declined", "tok_late"])
async def test_twenty_at_the_same_moment_with_one_key_make_one_order(shop: Shop, token: str):
    processes = [shop.process(), shop.process()]
    asked = [shop.place("k1", draft(token), orders=processes[number % 2]) for number in range(20)]

    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert len({_said(answer) for answer in answers}) == 1
    assert len(await shop.statuses()) == 1
    await shop.settle()
    await shop.audit()


def _said(answer: object) -> bytes:
    if isinstance(answer, BusinessError):
        return msgspec.json.encode([answer.code, answer.fields()])
    assert isinstance(answer, Order), answer
    return msgspec.json.encode(answer)


async def test_a_key_stands_for_one_request_only(shop: Shop):
    await shop.place("k1", draft(HAT=1))

    with pytest.raises(IdempotencyKeyReused):
        await shop.place("k1", draft(HAT=2))
    assert len(await shop.statuses()) == 1


async def test_a_key_stands_for_one_currency_only(shop: Shop):
    wanted = replace(draft(HAT=1), currency=None)
    in_euros = await shop.orders.place(key="k1", draft=wanted, member=None, locale="en", currency="EUR")
    again = await shop.orders.place(key="k1", draft=wanted, member=None, locale="de", currency="EUR")

    assert again == in_euros
    with pytest.raises(IdempotencyKeyReused):
        await shop.orders.place(key="k1", draft=wanted, member=None, locale="en", currency="USD")


async def test_two_requests_with_one_key_at_the_same_moment_make_one_order(near_shop: Shop):
    answers = await asyncio.gather(
        *(near_shop.place("k1", draft(HAT=1 + number % 2)) for number in range(10)), return_exceptions=True
    )

    assert {type(answer) for answer in answers} == {Order, IdempotencyKeyReused}
    assert len(await near_shop.statuses()) == 1


async def test_who_loses_patience_is_told_so_and_the_order_goes_on(near_shop: Shop):
    near_shop.restart(patience_s=0.05)
    gate = near_shop.trouble.hold("before Payments.charge")

    with pytest.raises(CommandInFlight):
        await near_shop.place("k1")
    leaving = asyncio.create_task(near_shop.place("k1"))
    await asyncio.sleep(0.01)
    leaving.cancel()
    gate.set()
    near_shop.restart()

    assert (await near_shop.place("k1")).status == "placed"
    await near_shop.audit()


async def test_a_declined_payment_rejects_the_order_and_frees_the_pieces(shop: Shop):
    with pytest.raises(PaymentDeclined) as first:
        await shop.place("k1", draft("tok_declined"))
    with pytest.raises(PaymentDeclined) as again:
        await shop.place("k1", draft("tok_declined"))
    await shop.deliver()

    assert first.value.fields() == again.value.fields()
    order = await shop.orders.get(order=first.value.order_id, member=None)
    assert (order.status, order.reason, order.payments[0].state) == ("rejected", "payments.declined", "failed")
    assert shop.inventory.available("HAT") == 1000
    await shop.audit()


async def test_what_is_out_of_stock_is_refused_and_nobody_is_charged(shop: Shop):
    shop.inventory.on_hand["HAT"] = 1

    with pytest.raises(OutOfStock) as refused:
        await shop.place("k1", draft(HAT=2, SHOE=1))

    assert refused.value.fields() == {"sku": "HAT", "left": 1}
    assert not shop.payments.charges
    shop.inventory.on_hand["HAT"] = 5
    with pytest.raises(OutOfStock):
        await shop.place("k1", draft(HAT=2, SHOE=1))
    assert (await shop.place("k2", draft(HAT=2, SHOE=1))).status == "placed"


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (replace(draft(), lines=None), CartEmpty),
        (replace(draft(), lines=()), CartEmpty),
        (replace(draft(), cart_id="cart"), InvalidDraft),
        (draft(HAT=10_001), InvalidDraft),
        (draft(cart_id="none"), NoSuchCart),
        (draft(UNICORN=1), NotForSale),
        (replace(draft(), payment=PaymentDraft(provider="barter", token="t")), NoSuchProvider),
        (replace(draft(), shipping_address=replace(ADDRESS, country="XU")), NotDeliverable),
        (replace(draft(), shipping_address=replace(ADDRESS, postal_code="")), AddressIncomplete),
        (replace(draft(), delivery=Delivery(method="balloon")), NotDeliverable),
        (replace(draft(), quote="what I remember"), QuoteChanged),
    ],
)
async def test_a_draft_that_cannot_be_ordered_is_refused_and_leaves_its_key_free(
    small_shop: Shop, wrong: object, error: type[BusinessError]
):
    with pytest.raises(error):
        await small_shop.place("k1", wrong)  # type: ignore[arg-type]

    assert (await small_shop.place("k1")).status == "placed"


async def test_a_sku_named_twice_is_one_line(shop: Shop):
    twice_a_hat = replace(draft(), lines=(LineDraft(sku="HAT", quantity=1), LineDraft(sku="HAT", quantity=2)))

    order = await shop.place("k1", twice_a_hat)

    assert [(line.sku, line.quantity) for line in order.lines] == [("HAT", 3)]


async def test_a_quote_that_was_shown_is_kept_to_with_or_without_destination(shop: Shop):
    lines = (await shop.carts.quote(lines=(), currency="EUR", locale="en")).lines
    assert lines == ()
    basket = shop.carts
    basket.fill("cart", cart_id=shop.ids.new(slot=1), member=None, HAT=1)
    wanted = (await basket.basket(cart="cart", member=None)).lines
    bare = await basket.quote(lines=wanted, currency="EUR", locale="en")
    final = await basket.quote(lines=wanted, currency="EUR", locale="en", destination=ADDRESS.destination)

    for number, shown in enumerate([bare, final]):
        await shop.place(f"k{number}", replace(draft(HAT=1), quote=shown.fingerprint))
    shop.carts.prices["HAT"] += 1

    with pytest.raises(QuoteChanged) as changed:
        await shop.place("k9", replace(draft(HAT=1), quote=final.fingerprint))
    assert changed.value.total.amount == final.total.amount + 1
    again = replace(draft(HAT=1), quote=changed.value.fingerprint)
    assert (await shop.place("k9", again)).total == changed.value.total


async def test_a_cart_becomes_one_order(shop: Shop):
    shop.carts.fill("cart", cart_id=shop.ids.new(slot=5), member=None, HAT=1)
    await shop.place("k1", draft(cart_id="cart"))

    with pytest.raises(CartOrdered):
        await shop.place("k2", draft(cart_id="cart"))
    await shop.deliver()
    with pytest.raises(CartOrdered):
        await shop.place("k3", draft(cart_id="cart"))


async def test_a_cart_ordered_by_many_keys_at_once_becomes_one_order(near_shop: Shop):
    near_shop.carts.fill("cart", cart_id=near_shop.ids.new(slot=5), member=MEMBER, HAT=1)

    answers = await asyncio.gather(
        *(near_shop.place(f"k{number}", draft(cart_id="cart"), member=MEMBER) for number in range(8)),
        return_exceptions=True,
    )

    assert sorted(type(answer).__name__ for answer in answers) == ["CartOrdered"] * 7 + ["Order"]
    assert len(await near_shop.statuses()) == 1


async def test_who_comes_after_another_process_has_placed_the_order_is_given_that_order(near_shop: Shop):
    near_shop.carts.fill("cart", cart_id=near_shop.ids.new(slot=5), member=None, HAT=1)
    wanted = draft(cart_id="cart")
    baskets, firsts = near_shop.carts.basket, []

    async def overtaken(**asked: Any) -> Any:
        near_shop.carts.basket = baskets  # type: ignore[method-assign]
        firsts.append(await near_shop.place("k1", wanted, orders=near_shop.process()))
        await near_shop.deliver()
        return await baskets(**asked)

    near_shop.carts.basket = overtaken  # type: ignore[method-assign]

    assert await near_shop.place("k1", wanted) == firsts[0]
    with pytest.raises(CartOrdered):
        await near_shop.place("k2", wanted)


async def test_the_slot_of_a_guests_cart_is_named_when_a_member_orders_it(near_shop: Shop):
    near_shop.carts.fill("cart", cart_id=near_shop.ids.new(slot=5), member=None, HAT=1)
    both = {slot_of(MEMBER), 5}

    with pytest.raises(PaymentDeclined):
        await near_shop.place("k1", draft("tok_declined", cart_id="cart"), member=MEMBER)
    assert [named >= both for named in near_shop.trouble.named] == [True, True], "when placed, and when rejected"
    order = await near_shop.place("k2", draft("tok_late", cart_id="cart"), member=MEMBER)
    near_shop.trouble.named.clear()
    await near_shop.orders.cancel(key="c1", order=order.id, member=MEMBER)
    assert [named >= both for named in near_shop.trouble.named] == [True]


@pytest.mark.parametrize("step", ["before Carts.quote", "before Inventory.reserve", "after Payments.charge"])
async def test_a_service_that_is_closed_leaves_its_orders_to_the_next_start(near_shop: Shop, step: str):
    gate = near_shop.trouble.hold(step)
    asked = asyncio.create_task(near_shop.place("k1"))
    while step not in near_shop.trouble.steps:
        await asyncio.sleep(0.001)

    await near_shop.service.close()

    with pytest.raises(Fault):
        await asked
    assert not [task for task in asyncio.all_tasks() - {asyncio.current_task()} if not task.done()]
    gate.set()
    near_shop.restart()
    assert (await near_shop.place("k1")).status == "placed"
    await near_shop.audit()


async def test_a_rejected_order_frees_its_cart(shop: Shop):
    shop.carts.fill("cart", cart_id=shop.ids.new(slot=5), member=MEMBER, HAT=1)
    with pytest.raises(PaymentDeclined):
        await shop.place("k1", draft("tok_declined", cart_id="cart"), member=MEMBER)

    assert (await shop.place("k2", draft(cart_id="cart"), member=MEMBER)).status == "placed"
    with pytest.raises(CartOrdered):
        await shop.place("k3", draft(cart_id="cart"), member=MEMBER)


async def test_somebody_elses_cart_cannot_be_ordered(shop: Shop):
    shop.carts.fill("cart", cart_id=shop.ids.new(slot=5), member=MEMBER, HAT=1)

    with pytest.raises(NoSuchCart):
        await shop.place("k1", draft(cart_id="cart"), member=OTHER_MEMBER)


async def test_a_late_payment_leaves_the_order_pending_and_then_places_it(shop: Shop):
    pending = await shop.place("k1", draft("tok_late"))
    assert (pending.status, pending.payments[0].state) == ("pending", "pending")

    await shop.settle()

    order = await shop.orders.get(order=pending.id, member=None)
    assert (order.status, order.payments[0].captured) == ("placed", order.total.amount)
    assert await shop.place("k1", draft("tok_late")) == pending
    await shop.audit()


async def test_a_payment_that_is_refused_late_rejects_the_order(shop: Shop):
    pending = await shop.place("k1", draft("tok_refused"))

    await shop.settle()

    order = await shop.orders.get(order=pending.id, member=None)
    assert (order.status, order.reason) == ("rejected", "payments.declined")
    assert [each.order_id for each in shop.events(OrderRejected)] == [pending.id.partition("-")[0]]
    await shop.audit()


async def test_a_payment_of_which_nobody_hears_ends_within_minutes(shop: Shop):
    pending = await shop.place("k1", draft("tok_silent"))

    await shop.pass_time(660, step=30.0)

    order = await shop.orders.get(order=pending.id, member=None)
    assert (order.status, order.reason) == ("rejected", "orders.payment_overdue")
    await shop.audit()


async def test_money_for_an_order_that_is_over_goes_back(shop: Shop):
    pending = await shop.place("k1", draft("tok_late"))
    await shop.pass_time(660, step=30.0)
    assert (await shop.orders.get(order=pending.id, member=None)).status == "rejected"

    await shop.settle()

    order = await shop.orders.get(order=pending.id, member=None)
    assert (order.payments[0].captured, order.payments[0].refunded) == (order.total.amount, order.total.amount)
    assert [refund.state for refund in order.refunds] == ["refunded"]
    await shop.audit()


async def test_late_money_for_pieces_that_are_gone_goes_back(shop: Shop):
    pending = await shop.place("k1", draft("tok_late"))
    await shop.inventory.release(key="r", order_id=pending.id.partition("-")[0])

    await shop.settle()

    order = await shop.orders.get(order=pending.id, member=None)
    assert (order.status, order.reason) == ("rejected", "inventory.reservation_gone")
    await shop.deliver()
    await shop.audit()


@pytest.mark.parametrize("others", [0, 999, 1000])
async def test_an_order_that_was_paid_gets_its_pieces_although_its_time_is_over_if_they_are_there(
    shop: Shop, others: int
):
    pending = await shop.place("k1", draft("tok_late"))
    shop.clock.advance(1000)
    shop.inventory.expire()
    if others:
        await shop.place("k2", draft(HAT=others))

    await shop.settle()

    order = await shop.orders.get(order=pending.id, member=None)
    assert (order.status, order.reason) == (
        ("placed", None) if others < 1000 else ("rejected", "inventory.reservation_gone")
    )
    await shop.deliver()
    await shop.audit()


async def test_what_costs_nothing_can_be_ordered(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tests.services.orders.neighbours.SHIPPING_PRICE", 0)
    order = await shop.place("k1", draft(GIFT=1))

    assert (order.status, order.total.amount) == ("placed", 0)


async def test_money_of_which_no_news_came_is_found_by_asking(shop: Shop):
    pending = await shop.place("k1", draft("tok_late"))
    shop.payments.settle()
    shop.payments.news.clear()

    await shop.pass_time(60)

    assert (await shop.orders.get(order=pending.id, member=None)).status == "placed"
    await shop.audit()


async def test_a_pending_order_is_not_forgotten_by_a_bank_that_never_heard_of_it(shop: Shop):
    pending = await shop.place("k1", draft("tok_late"))
    del shop.payments.charges[pending.id.partition("-")[0]]

    await shop.pass_time(30)
    await shop.settle()

    assert (await shop.orders.get(order=pending.id, member=None)).status == "placed"
    await shop.audit()


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_old_news_of_a_refused_payment_changes_nothing(shop: Shop, is_cancelled: bool):
    order = await shop.place("k1", member=MEMBER)
    await shop.deliver()
    if is_cancelled:
        order = await shop.orders.cancel(key="c1", order=order.id, member=MEMBER)
    shop.payments.news.append(PaymentFailed(order_id=order.id, payment_id="1", reason="late"))
    await shop.deliver()

    assert (await shop.orders.get(order=order.id, member=MEMBER)).status == order.status
    assert not shop.events(OrderRejected)


async def test_news_of_unknown_orders_are_no_news(shop: Shop):
    order_id = shop.ids.new(slot=3)
    shop.inventory.news.append(ReservationExpired(order_id=order_id))
    shop.payments.news.append(PaymentFailed(order_id=order_id, payment_id="1", reason=""))

    await shop.deliver()

    assert not await shop.statuses()


A_DAY = 24 * 60


@pytest.mark.parametrize("minutes", [11, 16, A_DAY + 1])
async def test_a_bank_that_cannot_be_asked_holds_an_order_up_but_not_for_ever(near_shop: Shop, minutes: int):
    pending = await near_shop.place("k1", draft("tok_late"))
    near_shop.clock.advance(60 * minutes)
    near_shop.trouble.plan(at=3, failure=Broken)  # after the sweep has taken it on: before it asks the bank

    await near_shop.service.resume()

    assert "before Payments.of_order" in near_shop.trouble.steps[2]
    status = (await near_shop.orders.get(order=pending.id, member=None)).status
    assert status == ("pending" if minutes <= A_DAY else "rejected")
