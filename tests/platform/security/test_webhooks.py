"""Webhook signatures: only what was signed, and in its time."""

import base64
from datetime import timedelta

import pytest

from hansa.platform.security import webhooks
from hansa.platform.security.webhooks import SignatureInvalid
from tests.clocks import START as NOW

KEY = b"k" * 32
OLD, NEW = b"o" * 32, b"n" * 32
MINUTE = timedelta(minutes=1)


BODY = b'{"type":"payment.captured"}'


def headers(*secrets: bytes) -> dict[str, str]:
    return webhooks.sign_webhook(secrets=secrets or [NEW], message_id="msg_1", at=NOW, body=BODY)


def test_the_example_of_the_specification_verifies():
    # From the reference implementation's tests (standard-webhooks, libraries/python).
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    at = NOW.fromtimestamp(1614265330, NOW.tzinfo)
    made = webhooks.sign_webhook(
        secrets=[secret], message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", at=at, body=b'{"test": 2432232314}'
    )
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert made["webhook-timestamp"] == "1614265330"


def test_a_signed_webhook_verifies_and_tells_its_id():
    assert webhooks.verify_webhook(secrets=[NEW], headers=headers(), body=BODY, now=NOW) == "msg_1"


def test_while_secrets_change_either_side_may_be_first():
    for sent, known in (([OLD], [NEW, OLD]), ([OLD, NEW], [NEW]), ([OLD, NEW], [OLD])):
        assert webhooks.verify_webhook(secrets=known, headers=headers(*sent), body=BODY, now=NOW)
    with pytest.raises(SignatureInvalid):
        webhooks.verify_webhook(secrets=[NEW], headers=headers(OLD), body=BODY, now=NOW)


@pytest.mark.parametrize("off", [timedelta(minutes=5, seconds=1), -timedelta(minutes=5, seconds=1)])
def test_an_old_request_or_one_from_the_future_is_refused(off: timedelta):
    with pytest.raises(SignatureInvalid):
        webhooks.verify_webhook(secrets=[NEW], headers=headers(), body=BODY, now=NOW + off)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_2"},
        {"webhook-id": ""},
        {"webhook-id": "msg_1.1"},
        {"webhook-timestamp": "1767225601"},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "9" * 40},
        {"webhook-timestamp": "99999999999"},
        {"webhook-timestamp": "soon"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,é"},
        {"webhook-signature": "v2," + base64.b64encode(bytes(32)).decode()},
    ],
)
def test_a_changed_header_is_refused(change: dict[str, str]):
    with pytest.raises(SignatureInvalid):
        webhooks.verify_webhook(secrets=[NEW], headers={**headers(), **change}, body=BODY, now=NOW)


def test_another_body_or_no_headers_are_refused():
    with pytest.raises(SignatureInvalid):
        webhooks.verify_webhook(secrets=[NEW], headers=headers(), body=BODY + b" ", now=NOW)
    with pytest.raises(SignatureInvalid):
        webhooks.verify_webhook(secrets=[NEW], headers={}, body=BODY, now=NOW)


def test_only_a_bounded_number_of_signatures_is_looked_at():
    crowd = " ".join(["v1,x"] * webhooks.LARGEST_SIGNATURES)
    late = {**headers(), "webhook-signature": f"{crowd} {headers()['webhook-signature']}"}
    with pytest.raises(SignatureInvalid):
        webhooks.verify_webhook(secrets=[NEW], headers=late, body=BODY, now=NOW)
