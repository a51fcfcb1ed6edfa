"""Dying at every step: the next process finds out what happened, and settles it exactly once."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hansa.kernel.errors import DeadlineExceeded
from hansa.services.payments.contract import NoSuchPayment
from hansa.services.payments.events import PaymentCaptured, PaymentFailed, PaymentRefunded
from tests.services.payments.till import PRICE, Killed, Till, dies

# The steps of a charge: commit the intent (1), ask the provider, commit its answer (2).
STEPS = [("write", 1, "before"), ("write", 1, "after"), ("charge", 1, "before"), ("charge", 1, "after")]
STEPS += [("write", 2, "before"), ("write", 2, "after")]
TOKENS = ["tok_success", "tok_declined", "tok_late", "tok_timeout"]


async def die(till: Till, act: Callable[[], Awaitable[object]], what: str, number: int, when: str) -> None:
    """Let the process die at a step of the act, and a new one start."""
    if what == "write":
        till.database.die(at_write=number, when=when)
    else:
        till.provider.disturb(what, when, Killed())
    assert await dies(act(), database=till.database)
    till.provider.plan.clear()
    till.restart()


@pytest.mark.parametrize(("what", "number", "when"), STEPS)
@pytest.mark.parametrize("token", TOKENS)
async def test_a_charge_cut_off_at_any_step_is_settled_once(
    till: Till, what: str, number: int, when: str, token: str
) -> None:
    order_id = till.order()
    await die(till, lambda: till.charge(order_id, token), what, number, when)
    await till.pass_time(60)
    if (what, number, when) == ("write", 1, "before"):
        with pytest.raises(NoSuchPayment):
            await till.payments.of_order(order_id=order_id)
        assert await till.books(order_id) == {}
        return
    is_declined = token == "tok_declined"
    payment = await till.payments.of_order(order_id=order_id)
    assert payment.state == ("failed" if is_declined else "captured")
    assert await till.books(order_id) == ({} if is_declined else {"captured": PRICE.amount})
    assert len(await till.events(PaymentCaptured, order_id)) == (not is_declined)
    assert len(await till.events(PaymentFailed, order_id)) == is_declined


@pytest.mark.parametrize(("what", "number", "when"), STEPS)
async def test_whoever_repeats_a_charge_after_a_crash_is_answered_at_once(
    till: Till, what: str, number: int, when: str
) -> None:
    order_id = till.order()
    await die(till, lambda: till.charge(order_id), what, number, when)
    assert (await till.charge(order_id)).state == "captured"
    await till.pass_time(60)
    assert await till.books(order_id) == {"captured": PRICE.amount}
    assert len(await till.events(PaymentCaptured, order_id)) == 1


@pytest.mark.parametrize(("what", "number", "when"), STEPS)
async def test_the_money_of_an_order_closed_after_a_crash_comes_back(
    till: Till, what: str, number: int, when: str
) -> None:
    order_id = till.order()
    await die(till, lambda: till.charge(order_id), what, number, when)
    await till.close(order_id, is_rejection=True)
    await till.pass_time(60)
    books = await till.books(order_id)
    assert books["captured"] == books["refunded"]
    late = await till.sandbox.charge(key=order_id, token="tok_success", amount=PRICE, capture=True)
    assert late.state == ("captured" if books["captured"] else "voided") or what == "write"


@pytest.mark.parametrize("what", ["asked", "told"])
async def test_a_caller_who_leaves_in_the_middle_of_a_charge_loses_nothing(till: Till, what: str) -> None:
    order_id = till.order()
    charge = till.sandbox.charge

    async def hang(**arguments: object) -> object:
        if what == "told":
            await charge(**arguments)  # type: ignore[arg-type]
        return await asyncio.Event().wait()

    till.sandbox.charge = hang  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(till.charge(order_id))
    while not till.provider.calls["charge"]:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    till.sandbox.charge = charge  # type: ignore[method-assign]
    await till.pass_time(60)
    assert (await till.payments.of_order(order_id=order_id)).state == "captured"
    assert await till.books(order_id) == {"captured": PRICE.amount}


REFUND_STEPS = [("write", 1, "before"), ("write", 1, "after"), ("refund", 1, "before"), ("refund", 1, "after")]
REFUND_STEPS += [("write", 2, "before"), ("write", 2, "after")]


@pytest.mark.parametrize(("what", "number", "when"), REFUND_STEPS)
async def test_a_refund_cut_off_at_any_step_is_given_once(till: Till, what: str, number: int, when: str) -> None:
    order_id = till.order()
    await till.charge(order_id)

    async def refund() -> None:
        await till.payments.refund(key="r1", order_id=order_id, amount=None, reason="broken")

    await die(till, refund, what, number, when)
    await till.pass_time(30)
    is_promised = (what, number, when) != ("write", 1, "before")
    assert (await till.books(order_id))["refunded"] == PRICE.amount * is_promised
    await refund()
    payment = await till.payments.of_order(order_id=order_id)
    assert (payment.refunded, len(payment.refunds)) == (PRICE.amount, 1)
    assert len(await till.events(PaymentRefunded, order_id)) == 1
    assert (await till.books(order_id))["refunded"] == PRICE.amount


@pytest.mark.parametrize(("what", "number"), [("write", 2), ("write", 3), ("refund", 1)])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_closing_cut_off_at_any_step_gives_back_once(till: Till, what: str, number: int, when: str) -> None:
    order_id = till.order()
    await till.charge(order_id)
    await die(till, lambda: till.close(order_id), what, number, when)
    await till.pass_time(30)
    payment = await till.payments.of_order(order_id=order_id)
    assert (payment.refunded, len(payment.refunds)) == (PRICE.amount, 1)
    assert len(await till.events(PaymentRefunded, order_id)) == 1
    assert (await till.books(order_id))["refunded"] == PRICE.amount


@pytest.mark.parametrize("act", ["capture", "void"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_silence_about_held_money_is_a_fault_and_found_out_later(till: Till, act: str, when: str) -> None:
    order_id = till.order()
    await till.authorize(order_id)
    till.provider.disturb(act, when)
    with pytest.raises(DeadlineExceeded):
        await getattr(till.service, act)(key="a", order_id=order_id)
    await till.pass_time(60)
    done = {"capture": "captured", "void": "voided"}[act]
    payment = await till.payments.of_order(order_id=order_id)
    assert payment.state == (done if when == "after" else "authorized")
    assert (await getattr(till.payments, act)(key="a", order_id=order_id)).state == done
    assert (await till.books(order_id))["captured"] == (PRICE.amount if act == "capture" else 0)


@pytest.mark.parametrize(("act", "state"), [("capture", "captured"), ("void", "voided")])
async def test_what_was_done_about_held_money_just_before_a_crash_is_found_out(
    till: Till, act: str, state: str
) -> None:
    order_id = till.order()
    await till.authorize(order_id)
    await die(till, lambda: getattr(till.payments, act)(key="a", order_id=order_id), act, 1, "after")
    await till.pass_time(15)
    assert (await till.payments.of_order(order_id=order_id)).state == state


async def test_many_sweepers_at_once_ask_about_a_payment_once(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id, "tok_timeout")
    till.clock.advance(10)
    await asyncio.gather(*(till.service.settle() for _ in range(6)))
    assert till.provider.calls["find"] == 1
    assert (await till.payments.of_order(order_id=order_id)).state == "captured"


async def test_one_payment_that_cannot_be_settled_hurts_no_other(till: Till) -> None:
    stuck, fine = till.order(), till.order()
    await till.charge(stuck, "tok_timeout")
    await till.charge(fine, "tok_timeout")
    find = till.sandbox.find

    async def broken(*, key: str) -> object:
        if key == stuck:
            raise ZeroDivisionError
        return await find(key=key)

    till.sandbox.find = broken  # type: ignore[method-assign,assignment]
    await till.pass_time(15)
    assert (await till.payments.of_order(order_id=fine)).state == "captured"
    assert (await till.payments.of_order(order_id=stuck)).state == "pending"
