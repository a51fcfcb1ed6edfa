"""How staff look for orders: by number, time and state, in either direction, and all at a glance."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.kernel.ids import EPOCH, LARGEST, order_number
from hansa.kernel.page import CursorInvalid
from hansa.services.orders import contract
from hansa.services.orders.contract import FulfilmentDraft, Order, Summary
from hansa.services.orders.rules import search
from hansa.services.orders.service import read
from tests.clocks import START
from tests.services.orders.shop import MEMBER, Shop, draft
from tests.services.orders.test_handling import STAFF, bare

ids = st.integers(1 << 22, LARGEST)


async def listed(shop: Shop, **wanted: Any) -> list[str]:
    """All pages of a list, two at a time."""
    found: list[str] = []
    cursor = None
    while True:
        page = await shop.orders.list_for_staff(limit=2, cursor=cursor, **wanted)
        found += [order.id for order in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found


async def placed(shop: Shop, count: int, *, token: str = "tok_success", apart_s: float = 60) -> list[Order]:
    orders = []
    for number in range(count):
        orders.append(await shop.place(f"{number} at {shop.clock.now()}", draft(token)))
        shop.clock.advance(apart_s)
    return orders


async def test_lists_go_from_the_newest_or_from_the_oldest(shop: Shop):
    made = [bare(order) for order in await placed(shop, 5)]

    assert await listed(shop) == made[::-1]
    assert await listed(shop, order="oldest") == made


async def test_a_list_begins_with_its_first_moment_and_ends_before_its_last(shop: Shop):
    made = [bare(order) for order in await placed(shop, 5)]
    second, fourth = START + timedelta(minutes=1), START + timedelta(minutes=3)

    assert await listed(shop, order="oldest", placed_from=second) == made[1:]
    assert await listed(shop, order="oldest", placed_to=fourth) == made[:3]
    assert await listed(shop, order="newest", placed_from=second, placed_to=fourth) == made[2:0:-1]
    assert await listed(shop, placed_from=fourth, placed_to=second) == []
    assert await listed(shop, placed_from=second + timedelta(milliseconds=1), placed_to=fourth) == [made[2]]


async def test_every_condition_counts(shop: Shop):
    done, waiting = await placed(shop, 3), await placed(shop, 3, token="tok_late")

    assert await listed(shop, status="pending", order="oldest") == [bare(order) for order in waiting]
    assert await listed(shop, status="pending", placed_to=START + timedelta(minutes=4)) == [bare(waiting[0])]
    assert await listed(shop, q=done[1].number, status="placed") == [bare(done[1])]
    assert await listed(shop, q=done[1].number, status="pending") == []
    assert await listed(shop, q=done[1].number, placed_from=START + timedelta(minutes=2)) == []


async def test_one_is_found_as_somebody_reads_its_number_out(shop: Shop):
    wanted, *_ = await placed(shop, 3)
    number, plain = wanted.number, wanted.number.replace("-", "")

    for q in (
        number,
        number.lower(),
        f"  {number} ",
        plain,
        plain[:-1],
        number[:-1],
        plain.replace("0", "o"),
        wanted.id,
        bare(wanted),
    ):
        assert await listed(shop, q=q) == [bare(wanted)], q
    assert len(await listed(shop, q=" ")) == 3


async def test_what_names_no_order_finds_none(shop: Shop):
    [wanted] = await placed(shop, 1)
    mistyped = wanted.number[:-1] + ("0" if wanted.number[-1] != "0" else "1")

    for q in (mistyped, wanted.number[:-2], "ada@example.org", "1", "0", "9" * 30, "U" * 13, "Z" * 13, "\x00", "ü"):
        assert await listed(shop, q=q) == [], q


async def test_a_cursor_of_another_direction_is_refused(shop: Shop):
    await placed(shop, 2)
    page = await shop.orders.list_for_staff(order="oldest", limit=1)
    with pytest.raises(CursorInvalid):
        await shop.orders.list_for_staff(order="newest", cursor=page.next_cursor)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2024-01-01T14:00:00+14:00"])
async def test_any_moment_may_be_asked_for(shop: Shop, moment: str):
    [order] = await placed(shop, 1)
    when = datetime.fromisoformat(moment)
    is_past = when.year < 2026

    assert (await listed(shop, placed_from=when) == [bare(order)]) == is_past
    assert (await listed(shop, placed_to=when) == []) == is_past
    assert (await shop.orders.summary(since=when)).placed == is_past


@given(ids, st.booleans(), st.booleans())
def test_every_number_names_its_order(order_id: int, has_hyphens: bool, has_check: bool):
    number = order_number(str(order_id))
    text = number if has_hyphens else number.replace("-", "")
    assert search.order_named(text if has_check else text[:-1]) == order_id
    assert search.order_named(f"{order_id}-secret") == search.order_named(str(order_id)) or len(str(order_id)) < 15


@given(ids, st.integers(0, 12), st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"))
def test_one_wrong_character_never_names_another_order(order_id: int, place: int, wrong: str):
    plain = order_number(str(order_id)).replace("-", "")
    mistyped = plain[:place] + wrong + plain[place + 1 :]
    assert search.order_named(mistyped) in (None, order_id)


@given(st.text(max_size=100))
def test_whatever_is_typed_is_an_answer(text: str):
    found = search.order_named(text)
    assert found is None or 0 < found <= LARGEST


@given(st.integers(1, 2**40), st.integers(0, (1 << 22) - 1))
def test_what_was_made_in_a_millisecond_lies_in_it(milliseconds: int, rest: int):
    moment = EPOCH + timedelta(milliseconds=milliseconds, microseconds=rest % 1000)
    made = (milliseconds << 22) + rest
    since = search.span(q=None, since=moment, until=None)
    until = search.span(q=None, since=None, until=moment)

    assert since.after < made < since.before
    assert not until.after < made < until.before


# -- at a glance


async def test_a_glance_tells_what_came_in_and_what_is_to_be_done(shop: Shop):
    old, *_ = await placed(shop, 1, apart_s=7 * 86_400)
    since = shop.clock.now()
    sold = [*await placed(shop, 2, apart_s=1), await shop.place("m1", draft(HAT=3), member=MEMBER)]
    await placed(shop, 2, token="tok_late", apart_s=1)
    declined = await shop.place("d1", draft("tok_refused"))
    await shop.orders.cancel(key="c1", order=declined.id, member=None)
    await shop.orders.fulfil(key="f1", order_id=bare(sold[0]), draft=FulfilmentDraft(), actor=STAFF)

    seen = await shop.orders.summary(since=since)
    everything = await shop.orders.summary(since=START)

    revenue = sum(order.total.amount for order in sold)
    assert seen == Summary(placed=3, pending=2, to_fulfil=3, revenue={"EUR": revenue}, is_complete=True)
    assert (everything.placed, everything.revenue) == (4, {"EUR": revenue + old.total.amount})


async def test_a_glance_at_an_empty_shop_is_empty(shop: Shop):
    assert await shop.orders.summary(since=START) == Summary(
        placed=0, pending=0, to_fulfil=0, revenue={}, is_complete=True
    )


async def test_a_glance_looks_at_no_more_than_the_latest(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(read, "MOST_COUNTED", 3)
    orders = await placed(shop, 4)

    seen = await shop.orders.summary(since=START)

    assert (seen.placed, seen.to_fulfil, seen.is_complete) == (3, 3, False)
    assert seen.revenue == {"EUR": sum(order.total.amount for order in orders[1:])}
    assert contract.MOST_COUNTED == 10_000
