"""Buying at a flash sale: pieces are claimed before anything else, once, and go back if no order comes of it."""

import asyncio
from typing import Any

import pytest

from hansa.kernel.errors import BusinessError, Fault, IdempotencyKeyReused
from hansa.services.orders.contract import FlashDraft, Order, PaymentDraft
from hansa.services.orders.contract.flash import NoSuchFlashSale, SoldOut, TicketInvalid
from hansa.services.orders.events import OrderCancelled, OrderRejected
from tests.services.orders.shop import ADDRESS, EMAIL, MEMBER, Shop
from tests.services.orders.trouble import Broken, Death

MOST_STEPS = 60
SALE = "4242"
TOKENS = ["tok_success", "tok_declined", "tok_late"]


def flash_draft(token: str = "tok_success", *, ticket: str = "good", quantity: int = 1) -> FlashDraft:
    return FlashDraft(
        email=EMAIL,
        shipping_address=ADDRESS,
        payment=PaymentDraft(provider="sandbox", token=token),
        ticket=ticket,
        quantity=quantity,
    )


async def buy(shop: Shop, key: str, token: str = "tok_success", *, sale: str = SALE, **more: Any) -> Order:
    draft = flash_draft(token, **more)
    return await shop.orders.buy(key=key, sale_id=sale, draft=draft, member=MEMBER, locale="en")


async def test_an_order_has_the_sales_price_and_says_why(shop: Shop) -> None:
    order = await buy(shop, "k1", quantity=2)

    [promotion] = [step for step in order.adjustments if step.kind == "promotion"]
    assert (order.status, order.subtotal.amount, promotion.amount.amount) == ("placed", 2 * 1999, 2 * (999 - 1999))
    assert (promotion.code, promotion.line) == (SALE, "HAT")
    assert order.total.amount == order.subtotal.amount + sum(
        step.amount.amount for step in order.adjustments if not step.included
    )
    assert shop.promotions.claims == {order.id: 2}
    await shop.audit()


async def test_the_same_key_gives_the_first_answer_even_when_nothing_is_left(shop: Shop) -> None:
    order = await buy(shop, "k1", quantity=3)
    assert shop.promotions.left == 0

    assert await buy(shop, "k1", quantity=3) == order
    assert await buy(shop, "k1", quantity=3, ticket="renewed meanwhile") == order
    with pytest.raises(IdempotencyKeyReused):
        await buy(shop, "k1", quantity=2)
    with pytest.raises(SoldOut):
        await buy(shop, "k2")


async def test_what_promotions_say_is_said_to_the_buyer(shop: Shop) -> None:
    with pytest.raises(TicketInvalid):
        await buy(shop, "k1", ticket="")
    with pytest.raises(NoSuchFlashSale):
        await buy(shop, "k2", sale="7")
    with pytest.raises(SoldOut) as refused:
        await buy(shop, "k3", quantity=4)

    assert refused.value.left == 3
    assert await shop.statuses() == {}


async def test_who_cannot_be_sold_to_gives_the_turn_up(shop: Shop) -> None:
    del shop.carts.prices["HAT"]
    with pytest.raises(BusinessError) as refused:
        await buy(shop, "k1")

    assert refused.value.code == "orders.not_for_sale"
    assert shop.promotions.inside == []


async def test_pieces_that_somebody_else_was_faster_with_are_refused_and_the_refusal_is_kept(shop: Shop) -> None:
    gate = shop.trouble.hold("before Promotions.admit")
    buying = asyncio.ensure_future(buy(shop, "k1", quantity=2))
    while "before Promotions.admit" not in shop.trouble.steps:
        await asyncio.sleep(0.001)
    shop.promotions.left = 1
    gate.set()
    with pytest.raises(SoldOut):
        await buying
    shop.promotions.left = 3

    with pytest.raises(SoldOut):
        await buy(shop, "k1", quantity=2)
    assert list((await shop.statuses()).values()) == ["rejected"]
    assert shop.payments.charges == {}


@pytest.mark.parametrize("token", ["tok_declined"])
async def test_a_declined_payment_gives_the_pieces_back_and_others_buy_them(shop: Shop, token: str) -> None:
    with pytest.raises(BusinessError) as refused:
        await buy(shop, "k1", token, quantity=3)
    await shop.settle()

    assert refused.value.code == "payments.declined"
    assert [event.flash_sale for event in shop.events(OrderRejected)] == [SALE]
    assert (await buy(shop, "k2", quantity=3)).status == "placed"
    await shop.audit()


async def test_a_cancelled_order_gives_the_pieces_back(shop: Shop) -> None:
    order = await buy(shop, "k1", quantity=3)
    await shop.orders.cancel(key="c1", order=order.id, member=MEMBER)
    await shop.settle()

    assert [event.flash_sale for event in shop.events(OrderCancelled)] == [SALE]
    assert shop.promotions.left == 3


async def steps_of(shop: Shop, token: str) -> int:
    """How many steps one order takes in which a process can die."""
    shop.promotions.left = 1_000
    shop.trouble.plan(at=None)
    await asyncio.gather(buy(shop, "counted", token), return_exceptions=True)
    steps = len(shop.trouble.steps)
    assert steps < MOST_STEPS
    assert "after Promotions.admit" in shop.trouble.steps
    return steps


async def claims_match_orders(shop: Shop) -> None:
    statuses = await shop.statuses()
    assert set(statuses.values()) <= {"placed", "rejected"}
    held = {order_id for order_id, pieces in shop.promotions.claims.items() if pieces}
    assert held == {order_id for order_id, status in statuses.items() if status == "placed"}
    assert shop.promotions.left == 1_000 - len(held)


@pytest.mark.parametrize("token", TOKENS)
async def test_a_process_may_die_at_every_step(near_shop: Shop, token: str) -> None:
    for number in range(1, await steps_of(near_shop, token) + 1):
        near_shop.trouble.plan(at=number, failure=Death)
        with pytest.raises(Death):
            await buy(near_shop, f"k{number}", token)
        near_shop.restart()
    near_shop.trouble.plan(at=None)

    await near_shop.settle()
    await near_shop.pass_time(60)
    await near_shop.settle()

    await claims_match_orders(near_shop)
    await near_shop.audit()


@pytest.mark.parametrize("token", TOKENS)
async def test_who_repeats_after_a_death_gets_the_answer_of_the_one_order(near_shop: Shop, token: str) -> None:
    steps = await steps_of(near_shop, token)
    expected = {"tok_success": "placed", "tok_late": "pending", "tok_declined": "payments.declined"}[token]
    for number in range(1, steps + 1):
        near_shop.trouble.plan(at=number, failure=Death)
        with pytest.raises(Death):
            await buy(near_shop, f"k{number}", token)
        near_shop.restart()
        near_shop.trouble.plan(at=None)
        for _ in range(2):
            try:
                outcome: str = (await buy(near_shop, f"k{number}", token)).status
            except BusinessError as error:
                outcome = error.code
            assert outcome == expected

    await near_shop.settle()
    await near_shop.pass_time(60)
    await near_shop.settle()
    assert len(await near_shop.statuses()) == steps + 1
    await claims_match_orders(near_shop)
    await near_shop.audit()


@pytest.mark.parametrize("token", TOKENS)
async def test_whoever_breaks_at_whatever_step_no_piece_is_lost(near_shop: Shop, token: str) -> None:
    for number in range(1, await steps_of(near_shop, token) + 1):
        near_shop.trouble.plan(at=number, failure=Broken)
        try:
            await buy(near_shop, f"k{number}", token)
        except (Fault, BusinessError):
            continue
    near_shop.trouble.plan(at=None)

    await near_shop.pass_time(60)
    await near_shop.settle()
    await near_shop.pass_time(60)

    await claims_match_orders(near_shop)
    await near_shop.audit()
