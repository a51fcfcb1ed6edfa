"""What webhooks say, what an answer means, and how patiently it is tried again."""

import base64
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from hansa.platform.security.webhooks import sign_webhook
from hansa.services.notifications.rules import webhooks as rules
from hansa.services.notifications.service.hearing import without_sealed
from tests.clocks import START

NAMES = st.text(min_size=1, max_size=40)
SECRETS = st.binary(min_size=24, max_size=64)
SEALED = base64.urlsafe_b64encode(b"\x01" + bytes(range(60))).decode().rstrip("=")


@given(name=NAMES, attempts=st.integers(0, 20), asked_s=st.floats(0, 10**7))
def test_the_next_attempt_is_later_by_its_delay_and_at_most_a_tenth_more(name: str, attempts: int, asked_s: float):
    at = rules.next_attempt(attempts=attempts, at=START, name=name, asked_s=asked_s)
    if attempts > len(rules.DELAYS_S):
        assert at is None
        return
    assert at is not None
    least = max(rules.DELAYS_S[max(attempts, 1) - 1], min(asked_s, rules.LONGEST_RETRY_AFTER_S))
    assert least <= (at - START).total_seconds() <= least * (1 + rules.JITTER) + 0.001


@given(name=NAMES)
def test_a_receiver_that_never_answers_is_tried_for_a_day_and_not_for_two(name: str):
    at, attempts = START, 1
    while (later := rules.next_attempt(attempts=attempts, at=at, name=name)) is not None:
        at, attempts = later, attempts + 1

    assert attempts == rules.MOST_ATTEMPTS
    assert timedelta(days=1) < at - START < timedelta(days=2)


def test_deliveries_that_failed_together_do_not_return_together():
    moments = {rules.next_attempt(attempts=2, at=START, name=f"{number} 7") for number in range(100)}

    assert len(moments) == 100


@given(secret=SECRETS, old=SECRETS, data=st.dictionaries(st.text(max_size=9), st.text(max_size=9)))
def test_what_is_sent_is_verified_by_the_standards_own_library_with_either_secret(
    secret: bytes, old: bytes, data: dict[str, str]
):
    body = rules.body(type_="orders.order_placed.v1", at=START, data=data)
    headers = sign_webhook(secrets=[secret, old], message_id="123", at=datetime.now(UTC), body=body)

    for each in (secret, old):
        read = Verifier(rules.secret_text(each)).verify(body, headers)
        assert read == {"type": "orders.order_placed.v1", "timestamp": "2026-01-01T00:00:00.000000Z", "data": data}
    with pytest.raises(WebhookVerificationError):
        Verifier(rules.secret_text(b"another" * 5)).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(rules.secret_text(secret)).verify(body + b" ", headers)


@given(SECRETS)
def test_a_secret_reads_as_it_was_written(secret: bytes):
    text = rules.secret_text(secret)

    assert text.startswith("whsec_")
    assert rules.secret_bytes(text) == secret


@pytest.mark.parametrize(
    ("status", "means"),
    [(200, "delivered"), (204, "delivered"), (299, "delivered"), (410, "gone")]
    + [(status, "again") for status in (100, 199, 300, 301, 308, 400, 401, 404, 429, 500, 503, 999)],
)
def test_what_an_answer_means(status: int, means: str):
    assert rules.verdict(status) == means


@pytest.mark.parametrize(
    ("status", "text", "seconds"),
    [
        (429, "120", 120),
        (503, " 7 ", 7),
        (503, format_datetime(START + timedelta(seconds=90), usegmt=True), 90),
        (503, "Thu, 01 Jan 2026 00:01:30", 90),
        (503, format_datetime(START - timedelta(seconds=90), usegmt=True), 0),
        (503, "Fri, 31 Dec 9999 23:59:59 GMT", rules.LONGEST_RETRY_AFTER_S),
        (429, "99999999999999999999", rules.LONGEST_RETRY_AFTER_S),
        (500, "120", 0),
        (404, "120", 0),
        (429, "", 0),
        (429, "-5", 0),
        (429, "1e9", 0),
        (429, "soon", 0),
        (429, "٣", 0),
    ],
)
def test_how_long_a_receiver_wants_to_be_left_alone(status: int, text: str, seconds: float):
    assert rules.asked_delay_s(status=status, retry_after=text, now=START) == seconds


@given(status=st.integers(100, 599), text=st.text(max_size=40))
def test_no_header_breaks_anything_or_keeps_webhooks_waiting_for_long(status: int, text: str):
    assert 0 <= rules.asked_delay_s(status=status, retry_after=text, now=START) <= rules.LONGEST_RETRY_AFTER_S


@pytest.mark.parametrize(
    ("state", "types", "is_heard"),
    [
        ("active", (), True),
        ("active", ("a.b.v1",), True),
        ("active", ("a.c.v1",), False),
        ("paused", ("a.b.v1",), True),
        ("failing", (), True),
        ("gone", (), False),
        ("deleted", (), False),
    ],
)
def test_which_events_are_noted_for_a_webhook(state: str, types: tuple[str, ...], is_heard: bool):
    assert rules.hears(state=state, types=types, type_="a.b.v1") == is_heard


def test_what_is_sealed_in_a_body_is_left_out_and_everything_else_stays():
    order = {
        "order_id": "7",
        "person": "order:7",
        "contact": SEALED,
        "lines": [{"sku": "ASTORIA-LONG-SLEEVE-SHIRT-NAVY-BLUE-LARGE-2", "note": SEALED, "notes": ["x", SEALED]}],
        "total": {"amount": 1999, "currency": "USD"},
    }

    assert without_sealed(order) == {
        "order_id": "7",
        "person": "order:7",
        "lines": [{"sku": "ASTORIA-LONG-SLEEVE-SHIRT-NAVY-BLUE-LARGE-2", "notes": ["x"]}],
        "total": {"amount": 1999, "currency": "USD"},
    }
    assert without_sealed({"contact": "a form", "person": None, "other": {"contact": "stays"}}) == {
        "person": None,
        "other": {"contact": "stays"},
    }


@given(
    st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=20), lambda inner: st.lists(inner))
)
def test_a_body_without_anything_sealed_stays_as_it_is(value: object):
    assert without_sealed(value) == json.loads(json.dumps(value))
