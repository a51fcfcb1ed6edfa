"""An order that comes to nothing: nothing more is taken for it, and what was taken goes back to the cent."""

import asyncio
from typing import Any

import pytest

from hansa.kernel.money import Money
from hansa.platform.providers.payments import RefundAnswer
from hansa.services.orders.events import OrderCancelled
from hansa.services.payments import rules
from hansa.services.payments.contract import NoSuchPayment, PaymentConflict, PaymentDeclined, RefundTooLarge
from hansa.services.payments.events import PaymentCaptured, PaymentFailed, PaymentRefunded, PaymentRefundFailed
from tests.services.payments.test_refunds import declining
from tests.services.payments.till import PRICE, Till


@pytest.mark.parametrize("is_rejection", [True, False])
async def test_what_was_captured_is_given_back_at_once(till: Till, is_rejection: bool) -> None:
    order_id = till.order()
    await till.charge(order_id)
    await till.close(order_id, is_rejection=is_rejection)
    payment = await till.payments.of_order(order_id=order_id)
    assert (payment.state, payment.refunded) == ("captured", PRICE.amount)
    assert [event.refunded for event in await till.events(PaymentRefunded, order_id)] == [PRICE.amount]
    assert await till.books(order_id) == {"captured": PRICE.amount, "refunded": PRICE.amount}
    with pytest.raises(PaymentConflict):
        await till.charge(order_id)
    with pytest.raises(RefundTooLarge):
        await till.payments.refund(key="r", order_id=order_id, amount=None, reason="")


async def test_closing_twice_gives_back_once(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id)
    await till.close(order_id)
    await till.close(order_id, is_rejection=True)
    await till.pass_time(20)
    assert (await till.books(order_id))["refunded"] == PRICE.amount


async def test_a_charge_after_the_end_is_refused(till: Till) -> None:
    order_id = till.order()
    await till.close(order_id)
    for take in (till.charge, till.authorize, till.charge):
        with pytest.raises(PaymentConflict) as refusal:
            await take(order_id)
        assert refusal.value.state == "closed"
    with pytest.raises(NoSuchPayment):
        await till.payments.of_order(order_id=order_id)
    with pytest.raises(NoSuchPayment):
        await till.payments.refund(key="r", order_id=order_id, amount=None, reason="")
    await till.pass_time(60)
    assert await till.books(order_id) == {}
    assert await till.events(PaymentFailed, order_id) == []


async def test_what_is_held_is_let_go(till: Till) -> None:
    order_id = till.order()
    await till.authorize(order_id)
    await till.close(order_id)
    assert (await till.payments.of_order(order_id=order_id)).state == "voided"
    assert await till.books(order_id) == {"authorized": PRICE.amount, "voided": PRICE.amount}


@pytest.mark.parametrize("token", ["tok_late", "tok_twice", "tok_timeout"])
@pytest.mark.parametrize("is_deaf", [True, False])
async def test_what_is_captured_after_the_end_is_given_back_to_the_cent(till: Till, token: str, is_deaf: bool) -> None:
    order_id = till.order()
    till.is_deaf = is_deaf
    await till.charge(order_id, token)
    await till.close(order_id)
    await till.pass_time(60)
    payment = await till.payments.of_order(order_id=order_id)
    assert (payment.state, payment.captured, payment.refunded) == ("captured", PRICE.amount, PRICE.amount)
    assert await till.books(order_id) == {"captured": PRICE.amount, "refunded": PRICE.amount}
    assert len(await till.events(PaymentCaptured, order_id)) == 1


async def test_a_charge_that_was_on_the_road_when_the_order_ended_is_refused_on_arrival(till: Till) -> None:
    order_id = till.order()
    till.provider.disturb("charge", "before")
    await till.charge(order_id)
    await till.close(order_id)
    assert (await till.payments.of_order(order_id=order_id)).state == "voided"
    late = await till.sandbox.charge(key=order_id, token="tok_success", amount=PRICE, capture=True)
    assert late.state == "voided"
    assert await till.books(order_id) == {}


async def test_an_order_that_ends_while_the_provider_is_asked_is_not_paid(till: Till) -> None:
    order_id = till.order()
    charge = till.sandbox.charge

    async def overtaken(**arguments: object) -> object:
        answer = await charge(**arguments)  # type: ignore[arg-type]
        await till.close(order_id)
        return answer

    till.sandbox.charge = overtaken  # type: ignore[method-assign,assignment]
    with pytest.raises(PaymentConflict):
        await till.charge(order_id)
    await till.pass_time(10)
    assert await till.books(order_id) == {"captured": PRICE.amount, "refunded": PRICE.amount}


async def test_a_declined_charge_stays_declined_after_the_end(till: Till) -> None:
    order_id = till.order()
    for _ in range(2):
        with pytest.raises(PaymentDeclined):
            await till.charge(order_id, "tok_declined")
        await till.close(order_id)
    assert await till.books(order_id) == {}


async def test_only_what_has_not_gone_back_yet_goes_back(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id)
    await till.payments.refund(key="r1", order_id=order_id, amount=Money(500, "EUR"), reason="scratched")
    till.provider.disturb("refund", "before")
    await till.payments.refund(key="r2", order_id=order_id, amount=Money(300, "EUR"), reason="late")
    await till.close(order_id)
    await till.pass_time(30)
    payment = await till.payments.of_order(order_id=order_id)
    assert [refund.amount.amount for refund in payment.refunds] == [500, 300, PRICE.amount - 800]
    assert (await till.books(order_id))["refunded"] == PRICE.amount


async def test_what_is_declined_after_the_end_is_owed_anew(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id)
    till.provider.disturb("refund", "before")
    asked = await till.payments.refund(key="r1", order_id=order_id, amount=Money(300, "EUR"), reason="late")
    with declining(till):
        await till.close(order_id)
        await till.pass_time(10)
    await till.pass_time(40)
    payment = await till.payments.of_order(order_id=order_id)
    states = [refund.state for refund in payment.refunds]
    assert (states.count("refunded"), states.count("pending")) == (2, 0)
    assert (payment.refunded, (await till.books(order_id))["refunded"]) == (PRICE.amount, PRICE.amount)
    told = [event.refund_id for event in await till.events(PaymentRefundFailed, order_id)]
    assert told == [asked.id], "whoever asked hears that this one came to nothing"


async def test_news_are_heard_while_a_provider_thinks_about_those_before(till: Till) -> None:
    order_ids = [till.order(), till.order()]
    for order_id in order_ids:
        await till.charge(order_id)
    refunding, thinking = till.sandbox.refund, asyncio.Event()

    async def slow(**arguments: Any) -> RefundAnswer:
        await thinking.wait()
        return await refunding(**arguments)

    till.sandbox.refund = slow  # type: ignore[method-assign]
    for order_id in order_ids:
        await till.hear(OrderCancelled(order_id=order_id, reason="changed my mind"))
    assert [(await till.books(order_id))["refunded"] for order_id in order_ids] == [0, 0]

    thinking.set()
    await till.service.following_up.quiet()
    assert [(await till.books(order_id))["refunded"] for order_id in order_ids] == [PRICE.amount, PRICE.amount]


async def test_what_is_broken_off_at_the_end_goes_on_after_the_next_start(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id)
    refunding, begun = till.sandbox.refund, asyncio.Event()

    async def endless(**_: Any) -> RefundAnswer:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    till.sandbox.refund = endless  # type: ignore[method-assign]
    await till.hear(OrderCancelled(order_id=order_id, reason="changed my mind"))
    await begun.wait()
    await till.service.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}

    till.sandbox.refund = refunding  # type: ignore[method-assign]
    till.restart()
    await till.pass_time(20)
    assert (await till.books(order_id))["refunded"] == PRICE.amount


async def test_a_refund_that_is_always_declined_is_left_to_a_person_in_the_end(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id)
    with declining(till):
        await till.close(order_id)
        for _ in range(rules.MOST_DECLINED_TRIES):
            till.clock.advance(300)
            await till.service.pay_back()
    payment = await till.payments.of_order(order_id=order_id)
    assert {refund.state for refund in payment.refunds} == {"failed"}
    assert len(payment.refunds) == rules.MOST_DECLINED_TRIES
    [told] = await till.events(PaymentRefundFailed, order_id)
    assert told.refund_id == payment.refunds[-1].id, "of what is tried again nobody hears"
    by_hand = await till.payments.refund(key="by hand", order_id=order_id, amount=None, reason="a new account")
    assert (by_hand.state, by_hand.amount) == ("refunded", PRICE)


async def test_nobody_can_take_the_key_of_the_closing_refund(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id)
    amount = Money(500, "EUR")
    await till.payments.refund(key=f"close:{order_id}", order_id=order_id, amount=amount, reason="")
    await till.close(order_id)
    assert (await till.books(order_id))["refunded"] == PRICE.amount


async def test_a_silent_provider_gets_its_refund_later(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id)
    for when in ("before", "after", "before"):
        till.provider.disturb("refund", when)
    await till.close(order_id)
    assert (await till.payments.of_order(order_id=order_id)).refunded == 0
    await till.pass_time(60)
    assert (await till.payments.of_order(order_id=order_id)).refunded == PRICE.amount
    assert (await till.books(order_id))["refunded"] == PRICE.amount
