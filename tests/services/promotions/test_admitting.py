"""Claims under orders' ids: once each, never too many, given back whole."""

import asyncio

import pytest

from hansa.kernel.errors import BusinessError, IdempotencyKeyReused
from hansa.platform.database.port import Transaction
from hansa.services.promotions.contract import ClaimGone, FlashSaleEnded, NoSuchFlashSale, OverLimit, SoldOut
from tests.services.promotions.counter import Counter


async def test_an_order_claims_its_pieces_once_however_often_it_asks(counter: Counter) -> None:
    sale, ada = await counter.sale(quantity=3, limit=2), counter.member()
    order = await counter.admit(sale.id, ada)

    for _ in range(3):
        await counter.admit(sale.id, ada, order_id=order)

    assert (await counter.promotions.record(sale_id=sale.id)).claimed == 1
    with pytest.raises(IdempotencyKeyReused):
        await counter.admit(sale.id, ada, order_id=order, quantity=2)
    await counter.audit()


async def test_a_refusal_is_remembered_even_when_pieces_come_back(counter: Counter) -> None:
    sale, ada, bob = await counter.sale(quantity=1), counter.member(), counter.member()
    first, second = await counter.admit(sale.id, ada), counter.order(bob)
    with pytest.raises(SoldOut):
        await counter.admit(sale.id, bob, order_id=second)
    await counter.release(sale.id, first)

    with pytest.raises(SoldOut):
        await counter.admit(sale.id, bob, order_id=second)
    await counter.admit(sale.id, bob)


async def test_what_was_released_never_claims_again_not_even_if_it_had_not_claimed_yet(counter: Counter) -> None:
    sale, ada = await counter.sale(quantity=2), counter.member()
    late, gone = counter.order(ada), await counter.admit(sale.id, ada)
    for order in (late, gone, gone):
        await counter.release(sale.id, order)

    for order in (late, gone):
        with pytest.raises(ClaimGone):
            await counter.admit(sale.id, ada, order_id=order)
    assert (await counter.promotions.record(sale_id=sale.id)).left == 2
    await counter.audit()


async def test_releasing_for_a_sale_that_does_not_exist_is_nothing(counter: Counter) -> None:
    await counter.release("4242", counter.order(counter.member()))

    with pytest.raises(NoSuchFlashSale):
        await counter.admit("4242", counter.member())


async def test_after_the_end_what_is_claimed_stays_and_nothing_more_is(counter: Counter) -> None:
    sale, ada, bob = await counter.sale(quantity=3, minutes=1), counter.member(), counter.member()
    order = await counter.admit(sale.id, ada)
    counter.clock.advance(60)

    await counter.admit(sale.id, ada, order_id=order)
    with pytest.raises(FlashSaleEnded):
        await counter.admit(sale.id, bob)


async def test_releases_of_many_orders_belong_to_the_transaction_that_heard_of_them(counter: Counter) -> None:
    sale, other = await counter.sale(quantity=3), await counter.sale(quantity=3)
    orders = [(each.id, await counter.admit(each.id, counter.member())) for each in (sale, sale, other)]

    async def release_and_die(tx: Transaction) -> None:
        await counter.service.release_within(tx, orders=orders)
        raise RuntimeError("died")

    with pytest.raises(RuntimeError):
        async with counter.database.write() as tx:
            await release_and_die(tx)
    assert (await counter.promotions.record(sale_id=sale.id)).claimed == 2
    async with counter.database.write() as tx:
        await counter.service.release_within(tx, orders=[*orders, *orders])
    assert [(await counter.promotions.record(sale_id=each.id)).claimed for each in (sale, other)] == [0, 0]
    await counter.audit()


async def test_sixty_four_shoppers_at_two_processes_get_exactly_the_ten_pieces_there_are(counter: Counter) -> None:
    sale = await counter.sale(quantity=10)
    processes = [counter.service, counter.process()]

    async def claim(number: int) -> bool:
        member = counter.member()
        order_id = counter.order(member)
        process = processes[number % 2]
        try:
            await process.admit(key=order_id, sale_id=sale.id, order_id=order_id, member=member, quantity=1)
        except SoldOut:
            return False
        return True

    got = await asyncio.gather(*(claim(number) for number in range(64)))

    assert sum(got) == 10
    assert (await counter.promotions.get(sale_id=sale.id)).state == "sold_out"
    await counter.audit()
    await processes[1].close()


async def test_one_buyer_at_two_processes_at_once_stays_within_the_limit(counter: Counter) -> None:
    sale, ada = await counter.sale(quantity=50, limit=3), counter.member()
    processes = [counter.service, counter.process()]

    async def claim(number: int) -> BusinessError | None:
        order_id = counter.order(ada)
        process = processes[number % 2]
        try:
            await process.admit(key=order_id, sale_id=sale.id, order_id=order_id, member=ada, quantity=2)
        except BusinessError as error:
            return error
        return None

    answers = await asyncio.gather(*(claim(number) for number in range(12)))

    assert answers.count(None) == 1
    assert all(isinstance(answer, OverLimit) for answer in answers if answer is not None)
    await counter.audit()
    await processes[1].close()


async def test_in_a_batch_those_who_do_not_fit_leave_the_others_alone(counter: Counter) -> None:
    sale, members = await counter.sale(quantity=3, limit=3), [counter.member() for _ in range(4)]

    async def claim(member: str, quantity: int) -> bool:
        return not isinstance(
            (await asyncio.gather(counter.admit(sale.id, member, quantity=quantity), return_exceptions=True))[0],
            BusinessError,
        )

    got = await asyncio.gather(*(claim(member, size) for member, size in zip(members, (2, 2, 1, 1), strict=True)))

    assert got == [True, False, True, False]
    await counter.audit()
