"""What is told of an order: everything that happened to it, once, in its order, at its time, and who did it."""

import asyncio
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from hansa.platform.database.statement import Statement
from hansa.services.orders.contract import (
    FulfilmentDraft,
    NoSuchOrder,
    Order,
    Parcel,
    RefundDraft,
    RefundTooLarge,
)
from hansa.services.orders.tables import ORDER_ENTRIES
from tests.services.orders.shop import EMAIL, MEMBER, Shop, draft
from tests.services.orders.test_handling import STAFF, bare, pieces
from tests.services.orders.trouble import Broken

EVERY_ENTRY = Statement(select(ORDER_ENTRIES))
BUYER = f"user:{MEMBER}"


async def told(shop: Shop, order: Order) -> list[tuple[str, str]]:
    return [(entry.kind, entry.actor) for entry in await shop.orders.history(order_id=bare(order))]


async def details(shop: Shop, order: Order, kind: str) -> list[dict[str, Any]]:
    return [entry.detail for entry in await shop.orders.history(order_id=bare(order)) if entry.kind == kind]


async def fulfil(shop: Shop, order: Order, *, key: str = "f1", **by_sku: int) -> None:
    parcels = (Parcel(carrier="post", tracking_number="T1"),)
    wanted = FulfilmentDraft(lines=pieces(**by_sku), parcels=parcels)
    await shop.orders.fulfil(key=key, order_id=bare(order), draft=wanted, actor=STAFF)


async def test_an_order_that_goes_well_is_told_from_its_making_to_its_last_piece(shop: Shop):
    order = await shop.place("k1", draft(HAT=2), member=MEMBER)
    shop.clock.advance(3600)
    await fulfil(shop, order, HAT=1)
    shop.clock.advance(3600)
    await fulfil(shop, order, key="f2", HAT=1)

    entries = await shop.orders.history(order_id=order.id)

    assert [(entry.kind, entry.actor) for entry in entries] == [
        ("created", BUYER),
        ("payment", "shop"),
        ("placed", "shop"),
        ("fulfilled", STAFF),
        ("fulfilled", STAFF),
        ("completed", STAFF),
    ]
    assert [(entry.at - order.created_at).total_seconds() for entry in entries] == [0, 0, 0, 3600, 7200, 7200]
    assert entries[1].detail == {"state": "captured", "captured": order.total.amount}
    sent = entries[3].detail
    assert (sent["lines"], sent["parcels"]) == ({"HAT": 1}, [{"carrier": "post", "tracking_number": "T1"}])


async def test_a_payment_that_comes_late_is_told_when_it_comes(shop: Shop):
    order = await shop.place("k1", draft("tok_late"))
    assert await told(shop, order) == [("created", "guest")]
    shop.clock.advance(30)

    await shop.settle()

    entries = await shop.orders.history(order_id=bare(order))
    assert [entry.kind for entry in entries] == ["created", "payment", "placed"]
    assert [(entry.at - order.created_at).total_seconds() for entry in entries] == [0, 30, 30]


async def test_of_a_rejected_order_it_is_told_why(shop: Shop):
    order = await shop.place("k1", draft("tok_refused"))
    await shop.settle()

    assert await told(shop, order) == [("created", "guest"), ("payment", "shop"), ("rejected", "shop")]
    assert await details(shop, order, "rejected") == [{"reason": "payments.declined"}]
    assert await details(shop, order, "payment") == [{"state": "failed", "captured": 0}]


@pytest.mark.parametrize(("member", "actor"), [(MEMBER, BUYER), (None, "guest")])
async def test_who_cancelled_is_told_and_what_was_given_back(shop: Shop, member: str | None, actor: str):
    order = await shop.place("k1", member=member)
    await shop.orders.cancel(key="c1", order=order.id, member=member)
    await shop.settle()

    assert (await told(shop, order))[3:] == [("cancelled", actor), ("refunded", "shop")]
    assert await details(shop, order, "cancelled") == [{"by": "buyer"}]
    assert (await details(shop, order, "refunded"))[0]["amount"] == order.total.amount


async def test_staff_who_cancel_are_named(shop: Shop):
    order = await shop.place("k1", draft("tok_late"))
    await shop.orders.cancel_for_staff(key="c1", order_id=bare(order), actor=STAFF)

    assert (await told(shop, order))[1:] == [("payment", STAFF), ("cancelled", STAFF)]
    assert await details(shop, order, "payment") == [{"state": "voided", "captured": 0}]
    assert await details(shop, order, "cancelled") == [{"by": "staff"}]


@pytest.mark.parametrize("is_slow", [False, True])
async def test_a_refund_is_told_when_it_is_asked_for_and_once_when_it_is_back(shop: Shop, is_slow: bool):
    order = await shop.place("k1", draft(HAT=2))
    await fulfil(shop, order, HAT=2)
    shop.payments.refunds_are_slow = is_slow
    asked = RefundDraft(amount=500, reason="torn", restock=pieces(HAT=1))
    shop.clock.advance(60)
    await shop.orders.refund(key="r1", order_id=bare(order), draft=asked, actor=STAFF)
    await shop.settle()
    await shop.settle()

    assert (await told(shop, order))[-3:] == [("returned", STAFF), ("refund_asked", STAFF), ("refunded", "shop")]
    assert await details(shop, order, "returned") == [{"lines": {"HAT": 1}}]
    assert await details(shop, order, "refund_asked") == [{"amount": 500, "reason": "torn"}]
    [back] = await details(shop, order, "refunded")
    assert back["amount"] == 500
    seen = await shop.orders.get_for_staff(order_id=bare(order))
    assert back["refund_id"] == seen.refunds[0].id


async def test_a_refund_that_the_provider_declines_is_told_once(shop: Shop):
    order = await shop.place("k1")
    shop.payments.declines_refunds = True
    await shop.orders.refund(key="r1", order_id=bare(order), draft=RefundDraft(), actor=STAFF)
    await shop.settle()

    assert (await told(shop, order))[-2:] == [("refund_asked", STAFF), ("refund_failed", "shop")]
    assert await details(shop, order, "refund_asked") == [{"amount": None, "reason": ""}]


async def test_a_refund_that_is_refused_takes_back_what_was_told_of_its_pieces(shop: Shop):
    order = await shop.place("k1", draft(HAT=2))
    await fulfil(shop, order, HAT=2)
    too_much = RefundDraft(amount=order.total.amount + 1, restock=pieces(HAT=2))
    with pytest.raises(RefundTooLarge):
        await shop.orders.refund(key="r1", order_id=bare(order), draft=too_much, actor=STAFF)

    assert [kind for kind, _ in await told(shop, order)][-4:] == [
        "returned",
        "refund_asked",
        "returned",
        "refund_refused",
    ]
    assert await details(shop, order, "returned") == [{"lines": {"HAT": 2}}, {"lines": {"HAT": -2}}]
    assert await details(shop, order, "refund_refused") == [{"code": "payments.refund_too_large"}]


@pytest.mark.parametrize("step", [1, 2])
async def test_what_broke_off_is_told_once_it_is_done_and_then_once(near_shop: Shop, step: int):
    """Broken just before the commit, or just after it."""
    order = await near_shop.place("k1", draft(HAT=2))
    near_shop.trouble.plan(at=step, failure=Broken)
    with pytest.raises(Broken):
        await fulfil(near_shop, order, HAT=1)
    assert [kind for kind, _ in await told(near_shop, order)].count("fulfilled") == step - 1

    await fulfil(near_shop, order, HAT=1)

    assert [kind for kind, _ in await told(near_shop, order)].count("fulfilled") == 1


async def test_what_many_do_at_once_is_told_one_after_the_other(near_shop: Shop):
    order = await near_shop.place("k1", draft(HAT=6))
    await asyncio.gather(*(fulfil(near_shop, order, key=f"f{number}", HAT=1) for number in range(6)))

    rows = [row for row in await near_shop.database.all(EVERY_ENTRY) if str(row["order_id"]) == bare(order)]
    assert sorted(row["number"] for row in rows) == list(range(1, len(rows) + 1))
    assert [kind for kind, _ in await told(near_shop, order)].count("fulfilled") == 6


async def test_orders_do_not_hear_of_each_other(shop: Shop):
    first, second = await shop.place("k1"), await shop.place("k2")
    await shop.orders.cancel(key="c1", order=second.id, member=None)

    assert [kind for kind, _ in await told(shop, first)] == ["created", "payment", "placed"]


async def test_of_an_order_that_is_not_there_nothing_is_told(shop: Shop):
    for name in ("", "1", "x", "9" * 30):
        with pytest.raises(NoSuchOrder):
            await shop.orders.history(order_id=name)


async def test_nothing_personal_is_told(shop: Shop):
    order = await shop.place("k1", member=MEMBER)
    await shop.orders.cancel(key="c1", order=order.id, member=MEMBER)
    await shop.settle()

    said = msgspec.json.encode(await shop.orders.history(order_id=order.id)).decode()
    assert EMAIL not in said
    assert "Lovelace" not in said
