"""The rules of payments: a state only rises, and sums always add up."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.kernel.errors import BusinessError
from hansa.kernel.money import Money
from hansa.services.payments import rules
from hansa.services.payments.rules import Intent

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = ["pending", "authorized", "captured", "declined", "voided"]
STATES = ["created", "pending", "authorized", "captured", "failed", "voided"]


def intent(**values: Any) -> Intent:
    given: dict[str, Any] = {"provider": "sandbox", "amount": 1999, "currency": "EUR", "token": "sealed"}
    return Intent(**given | {"order_id": "1", "payment_id": "2", "state": "created", "created_at": NOW} | values)


def told(subject: Intent, word: Any) -> Intent:
    return rules.told(subject, state=word, reference="r", reason="because", now=NOW)


def after(subject: Intent, words: Any) -> Intent:
    for word in words:
        subject = told(subject, word)
    return subject


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (("pending", "captured"), "captured"),
        (("pending", "declined"), "failed"),
        (("pending", "authorized", "voided"), "voided"),
        (("pending", "authorized", "captured"), "captured"),
        (("pending", "authorized", "declined"), "failed"),
    ],
)
def test_the_order_in_which_words_come_does_not_matter(words: tuple[str, ...], state: str) -> None:
    for order in permutations(words + words):
        assert after(intent(), order).state == state


@given(st.lists(st.sampled_from(WORDS)), st.booleans())
def test_whatever_is_said_money_once_taken_stays_taken_and_settled_payments_hold_no_token(
    words: list[str], is_closed: bool
) -> None:
    subject = after(intent(is_closed=is_closed), words)
    assert subject.captured == (1999 if "captured" in words else 0)
    assert (subject.state == "captured") == ("captured" in words)
    assert (subject.token == "") == (subject.state not in ("created", "pending"))


@given(st.lists(st.sampled_from(WORDS)), st.sampled_from(WORDS))
def test_what_is_said_twice_changes_nothing_the_second_time(words: list[str], word: str) -> None:
    once = told(after(intent(), words), word)
    assert told(once, word) is once


@given(st.lists(st.sampled_from(WORDS)), st.integers(0, 8))
def test_a_closed_payment_is_looked_at_until_it_is_settled(words: list[str], position: int) -> None:
    subject = after(intent(next_look_at=NOW + rules.LOOKS[0]), words[:position])
    subject = after(rules.closed(subject, now=NOW), words[position:])
    is_settled = subject.state in ("captured", "failed", "voided")
    assert (subject.next_look_at is None) == is_settled


@given(st.lists(st.tuples(st.sampled_from(["promise", "give", "fail"]), st.integers(1, 2500))))
def test_refunds_never_exceed_what_was_captured(steps: list[tuple[str, int]]) -> None:
    subject = told(intent(), "captured")
    promises: list[int] = []
    for step, cents in steps:
        if step == "promise":
            try:
                amount = rules.refund_amount(subject, Money(cents, "EUR"))
            except BusinessError:
                assert cents > subject.left
                continue
            subject = rules.promised(subject, amount)
            promises.append(amount)
        elif promises:
            change = rules.given_back if step == "give" else rules.not_given_back
            subject = change(subject, promises.pop())
        assert min(subject.refunding, subject.refunded, subject.left) >= 0
        assert subject.refunding == sum(promises)
        assert subject.refunding + subject.refunded + subject.left == 1999


@given(st.sampled_from(STATES), st.booleans())
def test_the_answer_to_a_charge_follows_from_what_is_kept_alone(state: Any, is_closed: bool) -> None:
    subject = intent(state=state, is_closed=is_closed)
    stands = state not in ("failed", "voided") and not is_closed
    if stands:
        rules.must_stand(subject)
    else:
        with pytest.raises(BusinessError) as refusal:
            rules.must_stand(subject)
        assert refusal.value.code == ("payments.declined" if state == "failed" else "payments.conflict")


def test_a_silent_payment_is_asked_about_four_times_in_its_first_minute_and_then_twice_a_minute() -> None:
    subject, moments = intent(state="pending", next_look_at=NOW + rules.LOOKS[0]), []
    for second in range(180):
        now = NOW + timedelta(seconds=second)
        if (looked := rules.looking(subject, now=now)) is not subject:
            moments.append(second)
            subject = looked
    assert moments == [5, 10, 20, 35, 65, 95, 125, 155]
