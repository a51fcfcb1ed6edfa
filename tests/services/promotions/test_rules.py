"""Who is admitted, whatever is asked in whichever order; and what a ticket is worth."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.kernel.errors import BusinessError
from hansa.kernel.money import Money
from hansa.services.promotions import rules
from hansa.services.promotions.contract import FlashSaleEnded, OverLimit, SoldOut, TooEarly
from hansa.services.promotions.rules import Ask, Claim, Sale

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
MEMBERS = st.sampled_from(["1001", "1002", "1003", "1004"])
MICROSECONDS = st.integers(-(10**7), 10**7).map(lambda number: timedelta(microseconds=number))


def sale(*, quantity: int = 3, limit: int = 1, claimed: int = 0, sale_id: str = "7") -> Sale:
    return Sale(
        sale_id=sale_id,
        sku="HAT",
        name="",
        price=Money(999, "EUR"),
        quantity=quantity,
        limit_per_buyer=limit,
        starts_at=NOON,
        ends_at=NOON + timedelta(seconds=5),
        claimed=claimed,
        created_at=NOON - timedelta(days=1),
    )


asks = st.lists(
    st.builds(
        lambda sale_id, order, member, pieces: Ask(sale_id, str(order), member, pieces),
        st.sampled_from(["7", "8"]),
        st.integers(1, 12),
        MEMBERS,
        st.integers(1, 4),
    ),
    max_size=40,
)


@given(asks, st.integers(0, 12), st.integers(1, 5), st.integers(0, 12))
def test_never_more_than_there_is_nor_than_one_may_have_and_the_first_come_first(
    wanted: list[Ask], quantity: int, limit: int, claimed: int
) -> None:
    here = sale(quantity=max(quantity, claimed), limit=limit, claimed=claimed)
    admission = rules.admit(wanted, sales={"7": here}, bought={("7", "1001"): 1}, claims={}, at=NOON)

    assert len(admission.answers) == len(wanted)
    taken, theirs = 0, Counter({"1001": 1})
    for order_id, (ask, claim) in admission.fresh.items():
        left = here.left - taken
        fits = ask.quantity <= left and theirs[ask.member] + ask.quantity <= limit
        assert (claim.state == "held") == fits, f"{order_id} came when there was room, or was let in when there was not"
        if fits:
            taken += ask.quantity
            theirs[ask.member] += ask.quantity
    assert taken == admission.by_sale.get("7", 0) <= here.left
    assert sum(admission.by_buyer.values()) == taken
    assert all(ask.sale_id == "7" for ask, _ in admission.fresh.values())


@given(asks)
def test_who_asks_again_gets_the_answer_they_got(wanted: list[Ask]) -> None:
    sales = {"7": sale(quantity=5, limit=3), "8": sale(quantity=5, limit=3, sale_id="8")}
    first = rules.admit(wanted, sales=sales, bought={}, claims={}, at=NOON)
    kept = {order_id: claim for order_id, (_, claim) in first.fresh.items()}
    again = rules.admit(wanted, sales=sales, bought={}, claims=kept, at=NOON + timedelta(hours=1))

    assert again.fresh == {}
    assert [str(answer) for answer in again.answers] == [str(answer) for answer in first.answers]


@given(MICROSECONDS)
def test_a_sale_is_open_from_its_first_moment_until_before_its_last(offset: timedelta) -> None:
    here, at = sale(), NOON + offset
    [answer] = rules.admit([Ask("7", "1", "1001", 1)], sales={"7": here}, bought={}, claims={}, at=at).answers

    if at < here.starts_at:
        assert isinstance(answer, TooEarly)
    elif at >= here.ends_at:
        assert isinstance(answer, FlashSaleEnded)
    else:
        assert answer is None
    assert type(rules.hopeless(here, pieces=1, at=at)) is type(answer)
    assert (rules.state_of(here, at=at) == "open") == (answer is None)


def test_the_limit_is_told_before_the_shelf() -> None:
    def answer(*, bought: int, pieces: int) -> BusinessError | None:
        ask = Ask("7", "1", "1001", pieces)
        known = {("7", "1001"): bought}
        return rules.admit([ask], sales={"7": sale(limit=2, claimed=2)}, bought=known, claims={}, at=NOON).answers[0]

    assert isinstance(answer(bought=2, pieces=1), OverLimit)
    assert isinstance(answer(bought=0, pieces=2), SoldOut)


def test_a_claim_that_was_released_is_gone() -> None:
    claim = Claim(member="1001", quantity=1, state="released")
    [answer] = rules.admit(
        [Ask("7", "1", "1001", 1)], sales={"7": sale()}, bought={}, claims={"1": claim}, at=NOON
    ).answers

    assert answer is not None
    assert answer.code == "promotions.claim_gone"


@given(st.integers(0, 1_000_000))
def test_what_is_left_is_told_roughly_but_never_as_less_than_it_is(left: int) -> None:
    told = rules.roughly(left)

    assert left <= told <= 2 * left
    assert (told == 0) == (left == 0)
    assert len(str(told).rstrip("0")) <= 1 or told == left <= 10


@given(st.binary(min_size=32, max_size=32), MEMBERS, MICROSECONDS, st.text(max_size=60))
def test_a_ticket_is_good_for_its_member_and_sale_from_the_start_on(
    secret: bytes, member: str, offset: timedelta, forged: str
) -> None:
    here = sale()
    ticket = rules.ticket(secret=secret, sale_id="7", member=member, at=NOON + offset)

    def is_good(text: str, **other: object) -> bool:
        return rules.is_ticket_good(text, **{"secret": secret, "sale": here, "member": member, **other})  # type: ignore[arg-type]

    assert is_good(ticket) == (offset >= timedelta(0))
    assert not is_good(ticket, member="999")
    assert not is_good(ticket, sale=sale(sale_id="8"))
    assert not is_good(ticket, secret=bytes(32) if any(secret) else bytes([1] * 32))
    assert not is_good(forged)


def test_a_cancelled_sale_is_over_for_those_whose_clocks_are_behind() -> None:
    over = rules.cancelled(sale(), at=NOON + timedelta(seconds=3))
    behind = NOON + timedelta(seconds=1)

    assert rules.state_of(over, at=behind) == "ended"
    assert isinstance(rules.closed(over, at=behind), FlashSaleEnded)
    with pytest.raises(FlashSaleEnded):
        rules.cancelled(over, at=behind)
