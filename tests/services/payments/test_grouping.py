"""Charges that come together share their commits, and each hears of its own."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from hansa.kernel.money import Money
from hansa.platform.database.port import Transaction
from hansa.services.payments import store
from hansa.services.payments.contract import Payment, PaymentConflict, PaymentDeclined
from hansa.services.payments.events import PaymentCaptured, PaymentFailed
from hansa.services.payments.service import PaymentsService
from tests.services.payments.till import PRICE, Till

CROWD = 30
TOKENS = ["tok_success", "tok_declined", "tok_late"]


async def test_a_crowd_is_charged_and_each_is_told_of_its_own(till: Till) -> None:
    orders = [till.order() for _ in range(CROWD)]

    answers = await asyncio.gather(
        *(till.charge(order, TOKENS[number % 3]) for number, order in enumerate(orders)), return_exceptions=True
    )

    for number, (order, answer) in enumerate(zip(orders, answers, strict=True)):
        if number % 3 == 1:
            assert isinstance(answer, PaymentDeclined)
            assert await till.events(PaymentFailed, order)
        else:
            assert isinstance(answer, Payment)
            assert (answer.order_id, answer.state) == (order, "captured" if number % 3 == 0 else "pending")
            assert len(await till.events(PaymentCaptured, order)) == (number % 3 == 0)
            assert await till.books(order) == ({"captured": PRICE.amount} if number % 3 == 0 else {})


async def test_one_order_charged_by_many_at_once_pays_once(till: Till) -> None:
    order, others = till.order(), [till.order() for _ in range(5)]

    payments = await asyncio.gather(*(till.charge(each) for each in (order, *others, order, order)))

    assert payments[0] == payments[-1] == payments[-2]
    assert await till.books(order) == {"captured": PRICE.amount}
    assert len(await till.events(PaymentCaptured, order)) == 1


async def test_of_two_different_charges_of_one_order_at_once_the_first_counts(till: Till) -> None:
    order = till.order()

    first, second = await asyncio.gather(
        till.charge(order), till.charge(order, amount=Money(1, "EUR")), return_exceptions=True
    )

    assert isinstance(first, Payment)
    assert isinstance(second, PaymentConflict)
    assert await till.books(order) == {"captured": PRICE.amount}


async def test_an_order_closed_while_the_provider_is_asked_hurts_no_neighbour(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = [till.order() for _ in range(5)]
    charge = till.sandbox.charge

    async def charge_while_closing(*, key: str, **rest: Any) -> Any:
        if key == orders[2]:
            async with till.database.write() as tx:
                await till.service.close_orders(tx, order_ids=[key])
        return await charge(key=key, **rest)

    monkeypatch.setattr(till.sandbox, "charge", charge_while_closing)
    answers = await asyncio.gather(*(till.service.charge(**_asked(order)) for order in orders), return_exceptions=True)

    assert [type(answer) for answer in answers] == [
        PaymentConflict if order == orders[2] else Payment for order in orders
    ]
    await till.pass_time(60)
    assert await till.books(orders[2]) == {"captured": PRICE.amount, "refunded": PRICE.amount}
    assert Counter({order: len(await till.events(PaymentCaptured, order)) for order in orders}) == dict.fromkeys(
        orders, 1
    )


async def test_a_member_that_breaks_the_batch_leaves_its_neighbours_alone(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = [till.order() for _ in range(CROWD)]
    bad, add = int(orders[7]), store.add_intents

    async def add_or_break(tx: Transaction, *, intents: Iterable[tuple[Any, ...]]) -> set[int]:
        rows = list(intents)
        if any(row[1] == bad for row in rows):
            raise ValueError("this one cannot be written")
        return await add(tx, intents=rows)

    monkeypatch.setattr(store, "add_intents", add_or_break)
    answers = await asyncio.gather(*(till.service.charge(**_asked(order)) for order in orders), return_exceptions=True)

    assert [type(answer) for answer in answers] == [ValueError if int(order) == bad else Payment for order in orders]
    assert await till.books(orders[7]) == {}
    assert all([await till.books(order) == {"captured": PRICE.amount} for order in orders if int(order) != bad])


async def test_two_processes_that_charge_the_same_orders_take_the_money_once(till: Till) -> None:
    orders = [till.order() for _ in range(CROWD)]
    other = PaymentsService(
        database=till.database,
        providers={"sandbox": till.provider},
        keyring=till.keyring,
        clock=till.clock,
        ids=till.ids,
    )

    ones, others = await asyncio.gather(
        asyncio.gather(*(till.service.charge(**_asked(order)) for order in orders)),
        asyncio.gather(*(other.charge(**_asked(order)) for order in reversed(orders))),
    )

    assert [payment.id for payment in ones] == [payment.id for payment in reversed(others)]
    await till.pass_time(60)
    for order in orders:
        assert await till.books(order) == {"captured": PRICE.amount}
        assert len(await till.events(PaymentCaptured, order)) == 1


def _asked(order: str) -> dict[str, Any]:
    return {"key": order, "order_id": order, "provider": "sandbox", "token": "tok_success", "amount": PRICE}
