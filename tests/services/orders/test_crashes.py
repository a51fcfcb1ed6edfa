"""Whatever dies at whatever step, an order comes to its end, and nobody is charged for nothing."""

import asyncio

import pytest

from hansa.kernel.errors import BusinessError, Fault
from hansa.services.orders.contract import FulfilmentDraft, FulfilmentLine, Order, RefundDraft
from tests.services.orders.shop import Shop, draft
from tests.services.orders.trouble import Broken, Death

MOST_STEPS = 60
TOKENS = ["tok_success", "tok_declined", "tok_late"]


async def steps_of(shop: Shop, token: str) -> int:
    """How many steps one order takes in which a process can die."""
    shop.trouble.plan(at=None)
    await asyncio.gather(shop.place("counted", draft(token)), return_exceptions=True)
    steps = len(shop.trouble.steps)
    assert steps < MOST_STEPS
    return steps


@pytest.mark.parametrize("token", TOKENS)
async def test_a_process_may_die_at_every_step(near_shop: Shop, token: str):
    for number in range(1, await steps_of(near_shop, token) + 1):
        near_shop.trouble.plan(at=number, failure=Death)
        with pytest.raises(Death):
            await near_shop.place(f"k{number}", draft(token))
        near_shop.restart()
    near_shop.trouble.plan(at=None)

    await near_shop.settle()
    await near_shop.pass_time(60)
    await near_shop.settle()

    assert "pending" not in (await near_shop.statuses()).values()
    await near_shop.audit()


@pytest.mark.parametrize("token", TOKENS)
async def test_who_repeats_after_a_death_gets_the_answer_of_the_one_order(near_shop: Shop, token: str):
    steps = await steps_of(near_shop, token)
    expected = {"tok_success": "placed", "tok_late": "pending", "tok_declined": "payments.declined"}[token]
    for number in range(1, steps + 1):
        near_shop.trouble.plan(at=number, failure=Death)
        with pytest.raises(Death):
            await near_shop.place(f"k{number}", draft(token))
        near_shop.restart()
        near_shop.trouble.plan(at=None)
        assert await outcome(near_shop, f"k{number}", token) == expected
        assert await outcome(near_shop, f"k{number}", token) == expected

    await near_shop.settle()
    assert len(await near_shop.statuses()) == steps + 1
    await near_shop.audit()


async def outcome(shop: Shop, key: str, token: str) -> str:
    try:
        return (await shop.place(key, draft(token))).status
    except BusinessError as error:
        return error.code


@pytest.mark.parametrize("token", TOKENS)
async def test_whoever_breaks_at_whatever_step_nobody_loses_money_or_pieces(near_shop: Shop, token: str):
    steps = await steps_of(near_shop, token)
    for number in range(1, steps + 1):
        near_shop.trouble.plan(at=number, failure=Broken)
        try:
            order = await near_shop.place(f"k{number}", draft(token))
        except (Fault, BusinessError):
            continue
        assert order.status in ("placed", "pending")
    near_shop.trouble.plan(at=None)

    await near_shop.pass_time(60)
    await near_shop.settle()
    await near_shop.pass_time(60)

    assert "pending" not in (await near_shop.statuses()).values()
    await near_shop.audit()


async def test_a_bank_that_is_gone_leaves_the_order_pending_and_answered(near_shop: Shop):
    near_shop.trouble.plan(at=await steps_before(near_shop, "after Payments.charge"), failure=Broken)
    order = await near_shop.place("k1")
    assert order.status == "pending"

    await near_shop.pass_time(30)

    assert (await near_shop.orders.get(order=order.id, member=None)).status == "placed"
    assert await near_shop.place("k1") == order
    await near_shop.audit()


async def test_stock_that_cannot_be_asked_charges_nobody(near_shop: Shop):
    near_shop.trouble.plan(at=await steps_before(near_shop, "before Inventory.reserve"), failure=Broken)
    with pytest.raises(Fault):
        await near_shop.place("k1")

    assert len(near_shop.payments.charges) == 1, "only the one that was counted"
    assert (await near_shop.place("k1")).status == "placed"


async def steps_before(shop: Shop, step: str) -> int:
    await steps_of(shop, "tok_success")
    return shop.trouble.steps.index(step) + 1


async def test_an_order_whose_maker_died_before_charging_long_ago_is_not_charged(near_shop: Shop):
    near_shop.trouble.plan(at=await steps_before(near_shop, "before Payments.charge"), failure=Death)
    with pytest.raises(Death):
        await near_shop.place("k1")
    near_shop.restart()
    near_shop.clock.advance(700)

    await near_shop.service.resume()

    assert sorted((await near_shop.statuses()).values()) == ["placed", "rejected"]
    await near_shop.deliver()
    await near_shop.audit()


@pytest.mark.parametrize("step", ["after Payments.charge", "before Inventory.sell", "after Inventory.sell"])
@pytest.mark.parametrize("others", [0, 1000])
async def test_a_paid_order_survives_a_shop_that_was_down_for_long(near_shop: Shop, step: str, others: int):
    near_shop.trouble.plan(at=await steps_before(near_shop, step), failure=Death)
    with pytest.raises(Death):
        await near_shop.place("k1")
    near_shop.restart()
    near_shop.clock.advance(3600)
    near_shop.inventory.expire()
    near_shop.inventory.on_hand["HAT"] -= others  # the rest of them was sold at the tills

    await near_shop.pass_time(60)

    is_there = others == 0 or step == "after Inventory.sell"
    assert sorted((await near_shop.statuses()).values()) == ["placed", "placed" if is_there else "rejected"]
    if is_there:
        assert (await near_shop.place("k1")).status == "placed"
    kept = [charge.taken for charge in near_shop.payments.charges.values()]
    assert kept.count(0) == (0 if is_there else 1), "who gets no pieces gets the money back"


@pytest.mark.parametrize("token", ["tok_success", "tok_late"])
async def test_many_processes_may_drive_the_same_order(near_shop: Shop, token: str):
    near_shop.trouble.plan(at=await steps_before(near_shop, "before Inventory.reserve"), failure=Death)
    with pytest.raises(Death):
        await near_shop.place("k1", draft(token))
    near_shop.clock.advance(20)
    processes = [near_shop.process() for _ in range(4)]

    await asyncio.gather(
        *(process.resume() for process in processes),
        *(near_shop.place("k1", draft(token), orders=process) for process in processes),
    )

    await near_shop.settle()
    assert set((await near_shop.statuses()).values()) == {"placed"}
    await near_shop.audit()


@pytest.mark.parametrize("failure", [Death, Broken])
async def test_a_refund_is_paid_once_whatever_dies(near_shop: Shop, failure: type[Exception]):
    asked = RefundDraft(amount=500, restock=(FulfilmentLine(sku="HAT", quantity=1),))
    for number in range(1, MOST_STEPS):
        order = await near_shop.place(f"k{number}", draft(HAT=2))
        order_id = order.id.partition("-")[0]
        await near_shop.service.fulfil(key=f"f{number}", order_id=order_id, draft=FulfilmentDraft(), actor="user:1")
        near_shop.trouble.plan(at=number, failure=failure)
        try:
            await near_shop.service.refund(key=f"r{number}", order_id=order_id, draft=asked, actor="user:1")
        except (Death, Broken):
            near_shop.restart()
        else:
            break
        near_shop.trouble.plan(at=None)
        if number % 2:
            await near_shop.service.refund(key=f"r{number}", order_id=order_id, draft=asked, actor="user:1")
        else:
            await near_shop.pass_time(20)
    assert number > 6

    near_shop.trouble.plan(at=None)
    await near_shop.pass_time(20)
    for order_id, status in (await near_shop.statuses()).items():
        assert status == "completed"
        shown: Order = await near_shop.service.get_for_staff(order_id=order_id)
        back = near_shop.payments.charges[order_id].payment.refunded
        assert back in (0, 500)
        assert shown.payments[0].refunded == back
        assert shown.lines[0].returned == near_shop.inventory.orders[order_id].returned.get("HAT", 0) == back // 500
