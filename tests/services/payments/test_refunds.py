"""Giving money back: never more than was taken, once per key, and until it is done."""

import asyncio

import pytest

from hansa.kernel.errors import IdempotencyKeyReused
from hansa.kernel.money import Money
from hansa.platform.providers.payments import RefundAnswer
from hansa.services.payments.contract import NoSuchPayment, Refund, RefundInvalid, RefundTooLarge
from hansa.services.payments.events import PaymentRefunded, PaymentRefundFailed
from tests.services.payments.till import PRICE, Till


async def refund(till: Till, order_id: str, key: str, cents: int | None) -> Refund:
    amount = None if cents is None else Money(cents, PRICE.currency)
    return await till.payments.refund(key=key, order_id=order_id, amount=amount, reason="broken")


async def test_a_part_and_then_the_rest_go_back(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id)
    part = await refund(till, order_id, "r1", 500)
    assert (part.state, part.amount.amount, part.reason) == ("refunded", 500, "broken")
    rest = await refund(till, order_id, "r2", None)
    assert (rest.state, rest.amount.amount) == ("refunded", PRICE.amount - 500)
    payment = await till.payments.of_order(order_id=order_id)
    assert (payment.refunded, payment.refunds) == (PRICE.amount, (part, rest))
    assert [event.refunded for event in await till.events(PaymentRefunded, order_id)] == [500, PRICE.amount]
    assert await till.books(order_id) == {"captured": PRICE.amount, "refunded": PRICE.amount}


async def test_the_same_key_gives_back_once(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id)
    refunds = [await refund(till, order_id, "r1", 500) for _ in range(3)]
    assert refunds[0] == refunds[1] == refunds[2]
    with pytest.raises(IdempotencyKeyReused):
        await refund(till, order_id, "r1", 501)
    assert (await till.books(order_id))["refunded"] == 500


async def test_a_refusal_is_remembered_by_its_key(till: Till) -> None:
    order_id = till.order()
    with pytest.raises(NoSuchPayment):
        await refund(till, order_id, "r1", 500)
    await till.charge(order_id)
    with pytest.raises(NoSuchPayment):
        await refund(till, order_id, "r1", 500)
    with pytest.raises(RefundTooLarge) as refusal:
        await refund(till, order_id, "r2", PRICE.amount + 1)
    assert refusal.value.refundable == PRICE.amount


async def test_what_could_never_go_back_is_refused(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id)
    for number, amount in enumerate([Money(0, "EUR"), Money(-500, "EUR"), Money(500, "USD")]):
        with pytest.raises(RefundInvalid):
            await till.payments.refund(key=f"r{number}", order_id=order_id, amount=amount, reason="")
    assert await till.books(order_id) == {"captured": PRICE.amount}


async def test_nothing_goes_back_of_what_was_not_taken(till: Till) -> None:
    order_id = till.order()
    await till.authorize(order_id)
    for number, cents in enumerate([None, 1]):
        with pytest.raises(RefundTooLarge):
            await refund(till, order_id, f"r{number}", cents)


async def test_twenty_refunds_at_once_never_exceed_what_was_taken(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id)
    outcomes = await asyncio.gather(
        *(refund(till, order_id, f"r{number}", 300) for number in range(20)), return_exceptions=True
    )
    done = [outcome for outcome in outcomes if isinstance(outcome, Refund)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, RefundTooLarge)]
    assert (len(done), len(refused)) == (PRICE.amount // 300, 20 - PRICE.amount // 300)
    assert (await till.payments.of_order(order_id=order_id)).refunded == 1800
    assert (await till.books(order_id))["refunded"] == 1800
    assert sorted(event.refunded for event in await till.events(PaymentRefunded, order_id)) == [
        300 * number for number in range(1, 7)
    ]


async def test_the_same_refund_asked_for_by_many_at_once_goes_back_once(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id)
    # Past the wire: for who comes while another's is under way, first it is pending and then it is refunded.
    amount = Money(500, "EUR")
    refunds = await asyncio.gather(
        *(till.service.refund(key="r1", order_id=order_id, amount=amount, reason="broken") for _ in range(10))
    )
    assert {refund.id for refund in refunds} == {refunds[0].id}
    assert (await till.books(order_id))["refunded"] == 500


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_refund_of_which_the_provider_says_nothing_is_repeated_until_it_does(till: Till, when: str) -> None:
    order_id = till.order()
    await till.charge(order_id)
    for _ in range(3):
        till.provider.disturb("refund", when)
    assert (await refund(till, order_id, "r1", 500)).state == "pending"
    with pytest.raises(RefundTooLarge):  # what is promised is not promised twice
        await refund(till, order_id, "r2", PRICE.amount)
    await till.pass_time(60)
    payment = await till.payments.of_order(order_id=order_id)
    assert (payment.refunded, payment.refunds[0].state) == (500, "refunded")
    assert (await till.books(order_id))["refunded"] == 500
    assert len(await till.events(PaymentRefunded, order_id)) == 1


async def test_a_declined_refund_fails_and_its_money_may_be_given_back_again(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id)
    with declining(till):
        assert (await refund(till, order_id, "r1", None)).state == "failed"
    assert (await refund(till, order_id, "r1", None)).state == "failed"
    assert (await refund(till, order_id, "r2", None)).state == "refunded"
    payment = await till.payments.of_order(order_id=order_id)
    assert (payment.refunded, [refund.state for refund in payment.refunds]) == (PRICE.amount, ["failed", "refunded"])


async def test_a_refund_that_is_declined_after_silence_is_told_and_its_money_is_free_again(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id)
    till.provider.disturb("refund", "before")
    pending = await refund(till, order_id, "r1", None)
    assert pending.state == "pending"
    with declining(till):
        await till.pass_time(60)
    [event] = await till.events(PaymentRefundFailed, order_id)
    assert (event.refund_id, event.amount, event.reason) == (pending.id, PRICE, "the card is gone")
    assert (await refund(till, order_id, "r2", None)).state == "refunded"
    assert len(await till.events(PaymentRefunded, order_id)) == 1


async def test_two_runs_of_the_job_try_a_refund_once(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id)
    till.provider.disturb("refund", "before")
    await refund(till, order_id, "r1", 500)
    till.clock.advance(10)
    before = till.provider.calls["refund"]
    await asyncio.gather(*(till.service.pay_back() for _ in range(5)))
    assert till.provider.calls["refund"] == before + 1


class declining:
    """While it lasts, the provider declines every refund."""

    def __init__(self, till: Till) -> None:
        self._sandbox = till.sandbox

    def __enter__(self) -> None:
        async def decline(**_: object) -> RefundAnswer:
            return RefundAnswer(state="declined", reason="the card is gone")

        self._sandbox.refund = decline  # type: ignore[method-assign]

    def __exit__(self, *_: object) -> None:
        del self._sandbox.refund
