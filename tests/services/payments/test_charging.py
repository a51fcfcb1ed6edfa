"""Taking money: once per order, and only on the provider's own word."""

import asyncio

import pytest
from sqlalchemy import select

from hansa.kernel.money import Money
from hansa.platform.database.statement import Statement
from hansa.services.payments.contract import NoSuchPayment, NoSuchProvider, PaymentConflict, PaymentDeclined
from hansa.services.payments.events import PaymentAuthorized, PaymentCaptured, PaymentFailed
from hansa.services.payments.tables import INTENTS
from tests.services.payments.till import PRICE, Till

ALL_INTENTS = Statement(select(INTENTS))


async def test_a_good_token_is_captured_at_once(till: Till) -> None:
    order_id = till.order()
    payment = await till.charge(order_id)
    assert (payment.state, payment.captured, payment.amount) == ("captured", PRICE.amount, PRICE)
    assert await till.payments.of_order(order_id=order_id) == payment
    assert await till.books(order_id) == {"captured": PRICE.amount}
    [captured] = await till.events(PaymentCaptured, order_id)
    assert (captured.order_id, captured.payment_id, captured.amount) == (order_id, payment.id, PRICE)


@pytest.mark.parametrize(("token", "reason"), [("tok_declined", "the card was declined"), ("x", "unknown token")])
async def test_a_bad_token_is_declined_again_and_again(till: Till, token: str, reason: str) -> None:
    order_id = till.order()
    for _ in range(2):
        with pytest.raises(PaymentDeclined) as refusal:
            await till.charge(order_id, token)
        assert refusal.value.reason == reason
    assert (await till.payments.of_order(order_id=order_id)).state == "failed"
    assert [event.reason for event in await till.events(PaymentFailed, order_id)] == [reason]
    assert await till.books(order_id) == {}


@pytest.mark.parametrize(("token", "settled_within_s"), [("tok_late", 5), ("tok_twice", 5), ("tok_timeout", 15)])
async def test_a_slow_token_is_pending_and_then_captured_once(till: Till, token: str, settled_within_s: int) -> None:
    order_id = till.order()
    assert (await till.charge(order_id, token)).state == "pending"
    await till.pass_time(settled_within_s)
    assert (await till.payments.of_order(order_id=order_id)).state == "captured"
    await till.pass_time(60)
    assert len(await till.events(PaymentCaptured, order_id)) == 1
    assert await till.books(order_id) == {"captured": PRICE.amount}
    assert len(till.posted) == {"tok_late": 1, "tok_twice": 2, "tok_timeout": 0}[token]


async def test_a_payment_whose_webhooks_are_all_lost_is_settled_within_a_minute(till: Till) -> None:
    order_id = till.order()
    till.is_deaf = True
    await till.charge(order_id, "tok_late")
    await till.pass_time(55)
    assert (await till.payments.of_order(order_id=order_id)).state == "captured"


async def test_the_same_charge_asked_for_by_many_at_once_takes_the_money_once(till: Till) -> None:
    order_id = till.order()
    payments = await asyncio.gather(*(till.charge(order_id) for _ in range(12)))
    assert {payment.state for payment in payments} == {"captured"}
    assert {payment.id for payment in payments} == {payments[0].id}
    assert len(await till.events(PaymentCaptured, order_id)) == 1
    assert await till.books(order_id) == {"captured": PRICE.amount}


async def test_an_order_cannot_be_paid_in_other_terms(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id)
    with pytest.raises(PaymentConflict):
        await till.charge(order_id, amount=Money(2000, "EUR"))
    with pytest.raises(PaymentConflict):
        await till.charge(order_id, amount=Money(1999, "USD"))
    with pytest.raises(PaymentConflict):
        await till.charge(order_id, "tok_late")
    with pytest.raises(PaymentConflict):
        await till.authorize(order_id)
    assert await till.books(order_id) == {"captured": PRICE.amount}


async def test_nothing_is_begun_with_an_unknown_provider(till: Till) -> None:
    order_id = till.order()
    with pytest.raises(NoSuchProvider):
        await till.payments.charge(key=order_id, order_id=order_id, provider="piggy_bank", token="x", amount=PRICE)
    with pytest.raises(NoSuchPayment):
        await till.payments.of_order(order_id=order_id)
    assert await till.payments.check_provider(provider="sandbox")
    assert not await till.payments.check_provider(provider="piggy_bank")


async def test_an_order_that_costs_nothing_is_paid_without_asking_anybody(till: Till) -> None:
    order_id = till.order()
    payment = await till.charge(order_id, amount=Money(0, "EUR"))
    assert (payment.state, payment.captured) == ("captured", 0)
    assert till.provider.calls["charge"] == 0
    assert len(await till.events(PaymentCaptured, order_id)) == 1


async def test_a_negative_amount_is_refused(till: Till) -> None:
    with pytest.raises(PaymentConflict):
        await till.charge(till.order(), amount=Money(-1, "EUR"))


async def test_the_token_is_sealed_while_needed_and_wiped_afterwards(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id, "tok_late")
    row = await till.database.one(ALL_INTENTS)
    assert row is not None
    assert row["token"] != ""
    assert "tok_late" not in str(tuple(row[name] for name in INTENTS.c.keys()))
    await till.pass_time(5)
    row = await till.database.one(ALL_INTENTS)
    assert row is not None
    assert (row["state"], row["token"], row["next_look_at"]) == ("captured", "", None)


async def test_a_charge_that_never_arrived_is_sent_again(till: Till) -> None:
    order_id = till.order()
    till.provider.disturb("charge", "before")
    assert (await till.charge(order_id)).state == "pending"
    assert await till.books(order_id) == {}
    await till.pass_time(5)
    assert await till.books(order_id) == {}
    await till.pass_time(15)
    assert (await till.payments.of_order(order_id=order_id)).state == "captured"
    assert await till.books(order_id) == {"captured": PRICE.amount}


async def test_a_charge_whose_token_was_erased_never_arrives_later(till: Till) -> None:
    order_id = till.order()
    till.provider.disturb("charge", "before")
    await till.charge(order_id)
    await till.keyring.erase(person=f"order:{order_id}")
    await till.pass_time(60)
    assert (await till.payments.of_order(order_id=order_id)).state == "voided"
    late = await till.sandbox.charge(key=order_id, token="tok_success", amount=PRICE, capture=True)
    assert late.state == "voided"
    assert await till.books(order_id) == {}


async def test_a_provider_that_answers_nonsense_is_taken_for_silent(till: Till) -> None:
    order_id = till.order()
    till.provider.disturb("charge", "after", ZeroDivisionError("in the adapter"))
    assert (await till.charge(order_id)).state == "pending"
    await till.pass_time(15)
    assert (await till.payments.of_order(order_id=order_id)).state == "captured"


async def test_held_money_is_captured_later(till: Till) -> None:
    order_id = till.order()
    held = await till.authorize(order_id)
    assert (held.state, held.authorized, held.captured) == ("authorized", PRICE.amount, 0)
    assert len(await till.events(PaymentAuthorized, order_id)) == 1
    for _ in range(2):
        taken = await till.payments.capture(key="c1", order_id=order_id)
        assert (taken.state, taken.authorized, taken.captured) == ("captured", 0, PRICE.amount)
    assert len(await till.events(PaymentCaptured, order_id)) == 1
    with pytest.raises(PaymentConflict):
        await till.payments.void(key="v1", order_id=order_id)
    assert await till.books(order_id) == {"authorized": PRICE.amount, "captured": PRICE.amount}


async def test_held_money_is_let_go(till: Till) -> None:
    order_id = till.order()
    await till.authorize(order_id)
    for _ in range(2):
        assert (await till.payments.void(key="v1", order_id=order_id)).state == "voided"
    with pytest.raises(PaymentConflict):
        await till.payments.capture(key="c1", order_id=order_id)
    with pytest.raises(PaymentConflict):
        await till.authorize(order_id)
    assert len(await till.events(PaymentFailed, order_id)) == 1
    assert await till.books(order_id) == {"authorized": PRICE.amount, "voided": PRICE.amount}


@pytest.mark.parametrize("act", ["capture", "void"])
async def test_what_is_not_there_is_neither_captured_nor_let_go(till: Till, act: str) -> None:
    with pytest.raises(NoSuchPayment):
        await getattr(till.payments, act)(key="a", order_id=till.order())
    order_id = till.order()
    await till.charge(order_id, "tok_late")
    with pytest.raises(PaymentConflict) as refusal:
        await getattr(till.payments, act)(key="a", order_id=order_id)
    assert refusal.value.state == "pending"


async def test_late_authorizations_are_heard_too(till: Till) -> None:
    order_id = till.order()
    assert (await till.authorize(order_id, "tok_twice")).state == "pending"
    await till.pass_time(5)
    assert (await till.payments.of_order(order_id=order_id)).state == "authorized"
    assert len(await till.events(PaymentAuthorized, order_id)) == 1
