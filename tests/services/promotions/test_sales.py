"""Announcing flash sales, looking at them, and being let in with a ticket."""

from datetime import timedelta

import msgspec
import pytest

from hansa.kernel.errors import IdempotencyKeyReused
from hansa.kernel.money import Money
from hansa.services.promotions.contract import (
    FlashSaleEnded,
    FlashSaleInvalid,
    NoSuchFlashSale,
    OverLimit,
    SoldOut,
    TicketInvalid,
    TooEarly,
)
from tests.services.promotions.counter import MINUTE, STAFF, Counter

MICROSECOND = timedelta(microseconds=1)


async def test_a_sale_is_scheduled_then_open_then_ended_to_the_microsecond(counter: Counter) -> None:
    sale = await counter.sale(starts_in=5, minutes=10)
    states = []
    for moment in (sale.starts_at - MICROSECOND, sale.starts_at, sale.ends_at - MICROSECOND, sale.ends_at):
        counter.clock.advance((moment - counter.clock.now()).total_seconds())
        shown = await counter.promotions.get(sale_id=sale.id)
        states.append(shown.state)
        assert shown.now == counter.clock.now() == moment

    assert states == ["scheduled", "open", "open", "ended"]


async def test_sales_that_run_or_are_to_come_are_listed_the_first_to_start_first(counter: Counter) -> None:
    over = await counter.sale(minutes=1)
    later, sooner = await counter.sale(starts_in=9), await counter.sale(starts_in=4)
    counter.clock.advance(120)

    listed = await counter.promotions.list()

    assert [sale.id for sale in listed.items] == [sooner.id, later.id]
    page = await counter.promotions.list_for_staff(limit=2)
    rest = await counter.promotions.list_for_staff(limit=2, cursor=page.next_cursor)
    assert [sale.id for sale in (*page.items, *rest.items)] == sorted([over.id, later.id, sooner.id], reverse=True)


async def test_the_same_key_announces_one_sale(counter: Counter) -> None:
    draft = counter.draft()
    first = await counter.promotions.create(key="one", draft=draft, actor=STAFF)

    assert await counter.promotions.create(key="one", draft=draft, actor=STAFF) == first
    with pytest.raises(IdempotencyKeyReused):
        await counter.promotions.create(key="one", draft=counter.draft(quantity=9), actor=STAFF)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"price": Money(0, "EUR")}, "/price/amount"),
        ({"price": Money(100, "XAU")}, "/price/currency"),
        ({"limit_per_buyer": 4}, "/limit_per_buyer"),
    ],
)
async def test_a_sale_that_contradicts_itself_is_refused(counter: Counter, change: dict, pointer: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(FlashSaleInvalid) as refused:
        await counter.promotions.create(
            key="bad", draft=msgspec.structs.replace(counter.draft(), **change), actor=STAFF
        )

    assert refused.value.pointer == pointer


async def test_a_sale_ends_after_its_start_and_not_in_the_past(counter: Counter) -> None:
    for draft in (counter.draft(minutes=0), counter.draft(starts_in=-20, minutes=10)):
        with pytest.raises(FlashSaleInvalid):
            await counter.promotions.create(key=counter.key(), draft=draft, actor=STAFF)


async def test_a_cancelled_sale_is_over_and_what_was_claimed_stays(counter: Counter) -> None:
    sale = await counter.sale()
    await counter.buy(sale.id, counter.member())

    cancelled = await counter.promotions.cancel(key="stop", sale_id=sale.id, actor=STAFF)

    assert (cancelled.state, cancelled.is_cancelled, cancelled.claimed) == ("ended", True, 1)
    assert isinstance(await counter.buy(sale.id, counter.member()), FlashSaleEnded)
    with pytest.raises(FlashSaleEnded):
        await counter.promotions.cancel(key="again", sale_id=sale.id, actor=STAFF)


async def test_a_sale_may_be_cancelled_before_it_begins(counter: Counter) -> None:
    sale = await counter.sale(starts_in=5)

    assert (await counter.promotions.cancel(key="stop", sale_id=sale.id, actor=STAFF)).state == "ended"
    assert (await counter.promotions.list()).items == ()


async def test_there_is_no_ticket_before_the_start_nor_after_the_end(counter: Counter) -> None:
    sale, member = await counter.sale(starts_in=5, minutes=1), counter.member()
    with pytest.raises(TooEarly):
        await counter.ticket(sale.id, member)
    counter.clock.advance(300)
    ticket = await counter.ticket(sale.id, member)
    counter.clock.advance(60)

    with pytest.raises(FlashSaleEnded):
        await counter.ticket(sale.id, member)
    with pytest.raises(FlashSaleEnded):
        await counter.promotions.enter(key="late", sale_id=sale.id, member=member, ticket=ticket, quantity=1)
    with pytest.raises(NoSuchFlashSale):
        await counter.ticket("4242", member)


async def test_only_ones_own_ticket_of_this_sale_lets_in(counter: Counter) -> None:
    sale, other = await counter.sale(), await counter.sale()
    ada, bob = counter.member(), counter.member()
    good = await counter.ticket(sale.id, ada)
    earlier = str(int(good.partition(".")[0]) - 1) + good[good.index(".") :]
    for ticket in ("", "1", "x.y", earlier, await counter.ticket(sale.id, bob), await counter.ticket(other.id, ada)):
        with pytest.raises(TicketInvalid):
            await counter.promotions.enter(key=counter.key(), sale_id=sale.id, member=ada, ticket=ticket, quantity=1)

    terms = await counter.promotions.enter(key="good", sale_id=sale.id, member=ada, ticket=good, quantity=1)
    assert (terms.sku, terms.price) == ("HAT", Money(999, "EUR"))


async def test_nobody_is_let_in_early_whatever_they_show(counter: Counter) -> None:
    sale = await counter.sale(starts_in=1)

    with pytest.raises(TooEarly) as refused:
        await counter.promotions.enter(key="k", sale_id=sale.id, member=counter.member(), ticket="", quantity=1)
    assert refused.value.starts_at == sale.starts_at


async def test_more_than_a_buyer_may_have_is_over_the_limit_and_more_than_is_left_is_sold_out(counter: Counter) -> None:
    sale = await counter.sale(quantity=5, limit=3)
    ada, bob = counter.member(), counter.member()
    await counter.buy(sale.id, ada, quantity=3)

    over, short = await counter.buy(sale.id, ada), await counter.buy(sale.id, bob, quantity=3)

    assert isinstance(over, OverLimit)
    assert (over.limit, over.bought) == (3, 3)
    assert isinstance(short, SoldOut)
    assert short.left == 2
    await counter.audit()


async def test_a_sale_is_sold_out_and_open_again_when_pieces_come_back(counter: Counter) -> None:
    sale = await counter.sale(quantity=1)
    ada, bob = counter.member(), counter.member()
    order = await counter.buy(sale.id, ada)
    assert (await counter.promotions.get(sale_id=sale.id)).state == "sold_out"
    assert isinstance(await counter.buy(sale.id, bob), SoldOut)

    await counter.release(sale.id, str(order))

    assert (await counter.promotions.get(sale_id=sale.id)).roughly_left == 1
    assert isinstance(await counter.buy(sale.id, bob), str)
    assert isinstance(await counter.buy(sale.id, ada), SoldOut)
    await counter.audit()


async def test_the_door_turns_away_only_those_who_have_no_chance_and_no_order(counter: Counter) -> None:
    sale = await counter.sale(quantity=1, starts_in=1)
    ada, bob = counter.member(), counter.member()

    def said(member: str) -> type[Exception] | None:
        why = counter.service.turn_away(sale_id=sale.id, member=member)
        return None if why is None else type(why)

    assert said(ada) is None, "nothing is known of the sale yet"
    with pytest.raises(TooEarly):
        await counter.ticket(sale.id, ada)
    assert said(ada) is TooEarly
    counter.clock.advance(60)
    assert said(ada) is None
    order = str(await counter.buy(sale.id, ada))
    assert said(ada) is None, "a repeated request is answered from the books"
    assert said(bob) is SoldOut
    counter.restart()
    await counter.ticket(sale.id, bob)
    assert (said(ada), said(bob)) == (None, SoldOut), "after a restart, too"
    await counter.release(sale.id, order)
    assert said(bob) is None, "the hint opens at once"
    counter.clock.advance(10 * MINUTE.total_seconds())
    assert said(bob) is FlashSaleEnded


async def test_news_of_another_process_arrive_with_the_next_look(counter: Counter) -> None:
    sale = await counter.sale(quantity=1)
    ada, bob = counter.member(), counter.member()
    await counter.ticket(sale.id, bob)
    other = counter.process()
    await other.admit(key="1", sale_id=sale.id, order_id=counter.order(ada), member=ada, quantity=1)

    assert counter.service.turn_away(sale_id=sale.id, member=bob) is None
    await counter.service.look()
    assert isinstance(counter.service.turn_away(sale_id=sale.id, member=bob), SoldOut)
    await other.close()


async def test_nobody_is_refused_by_old_news_of_what_another_process_sells(counter: Counter) -> None:
    sale = await counter.sale(quantity=1)
    ada, bob = counter.member(), counter.member()
    order = await counter.buy(sale.id, ada)
    assert isinstance(await counter.buy(sale.id, bob), SoldOut)
    other = counter.process()
    await other.release(key="back", sale_id=sale.id, order_id=str(order))
    counter.clock.advance(1)

    assert isinstance(await counter.buy(sale.id, bob), str)
    await other.close()
