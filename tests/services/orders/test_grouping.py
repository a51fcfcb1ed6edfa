"""Orders that come together are committed together, and yet each is answered, refused and resumed by itself."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from hansa.kernel.errors import BusinessError, Fault, IdempotencyKeyReused
from hansa.kernel.ids import guest_name
from hansa.services.orders.contract import CartOrdered, Order, OrderDraft, Orders
from tests.services.orders.shop import Shop, draft
from tests.services.orders.trouble import Broken, Death

MANY = 24


async def placed_together(shop: Shop, asked: Sequence[tuple[str, OrderDraft]]) -> list[Order | BaseException]:
    """Place all of them in one batch: a first one is held at its commit until all the others have come."""
    gate = shop.trouble.hold("before commit")
    first = asyncio.ensure_future(shop.place("the first"))
    while "before commit" not in shop.trouble.steps:
        await asyncio.sleep(0)
    rest = [asyncio.ensure_future(shop.place(key, wanted)) for key, wanted in asked]
    await let_all_come()
    gate.set()
    answers = await asyncio.gather(first, *rest, return_exceptions=True)
    assert isinstance(answers[0], Order)
    return answers[1:]


async def let_all_come() -> None:
    """Everybody who can go on without the database does."""
    for _ in range(200):
        await asyncio.sleep(0)


def told(answers: Sequence[Any]) -> list[str]:
    return [answer.status if isinstance(answer, Order) else type(answer).__name__ for answer in answers]


async def test_orders_that_come_together_share_their_commits(near_shop: Shop):
    answers = await placed_together(near_shop, [(f"k{number}", draft()) for number in range(MANY)])

    assert told(answers) == ["placed"] * MANY
    assert len({answer.id for answer in answers if isinstance(answer, Order)}) == MANY
    assert near_shop.trouble.steps.count("before commit") < MANY, "two commits an order, were they by themselves"
    await near_shop.audit()


async def test_of_two_orders_of_one_cart_the_first_to_come_gets_it(near_shop: Shop):
    cart_id = near_shop.ids.new(slot=9)
    name = guest_name(cart_id, "s" * 20)
    near_shop.carts.fill(name, cart_id=cart_id, member=None, HAT=2)

    answers = await placed_together(
        near_shop,
        [
            ("before", draft(SHOE=1)),
            ("one", draft(cart_id=name)),
            ("two", draft(cart_id=name)),
            ("after", draft(GIFT=1, HAT=1)),
        ],
    )

    assert told(answers) == ["placed", "placed", "CartOrdered", "placed"]
    with pytest.raises(CartOrdered):  # and its key stands for nothing
        await near_shop.place("two", draft(cart_id=name))
    await near_shop.audit()


async def test_of_two_requests_with_one_key_the_second_is_told_so(near_shop: Shop):
    answers = await placed_together(near_shop, [("k", draft(HAT=1)), ("k", draft(HAT=2)), ("other", draft())])

    assert told(answers) == ["placed", IdempotencyKeyReused.__name__, "placed"]


async def test_a_refusal_is_its_own_alone(near_shop: Shop):
    near_shop.inventory.on_hand["SHOE"] = 2

    answers = await placed_together(
        near_shop,
        [
            ("a", draft(SHOE=1)),
            ("b", draft("tok_declined")),
            ("c", draft(SHOE=1)),
            ("d", draft(SHOE=1)),
            ("e", draft("tok_late")),
            ("f", draft(UNKNOWN=1)),
        ],
    )

    assert told(answers) == ["placed", "PaymentDeclined", "placed", "OutOfStock", "pending", "NotForSale"]
    await near_shop.settle()
    await near_shop.audit()


@pytest.mark.parametrize("failure", [Death, Broken])
async def test_a_batch_that_breaks_off_is_taken_up_again_by_whoever_repeats(near_shop: Shop, failure: type[Exception]):
    for number in range(1, 12):
        keys = [f"{number} {member}" for member in range(4)]
        near_shop.trouble.plan(at=number, failure=failure)
        await asyncio.gather(*(near_shop.place(key) for key in keys), return_exceptions=True)
        near_shop.restart()
        near_shop.trouble.plan(at=None)
        again = await asyncio.gather(*(near_shop.place(key) for key in keys))
        assert told(again) == ["placed"] * 4

    assert len(await near_shop.statuses()) == 44
    await near_shop.audit()


async def test_two_processes_with_one_database_make_one_order_of_a_key(near_shop: Shop):
    other: Orders = near_shop.process()
    keys = [f"k{number}" for number in range(MANY)]

    async def insisted(key: str, orders: Orders) -> Order:
        for _ in range(5):
            try:
                return await near_shop.place(key, orders=orders)
            except (Fault, BusinessError):
                continue
        raise AssertionError("no answer")

    here = [insisted(key, near_shop.orders) for key in keys]
    there = [insisted(key, other) for key in reversed(keys)]
    answers = await asyncio.gather(*here, *there)

    await near_shop.pass_time(60)
    assert [answer.id for answer in answers[:MANY]] == [answer.id for answer in reversed(answers[MANY:])]
    assert len(await near_shop.statuses()) == MANY
    assert set((await near_shop.statuses()).values()) == {"placed"}
    await near_shop.audit()
