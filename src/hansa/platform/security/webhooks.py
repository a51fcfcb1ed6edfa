"""Signatures of webhooks after Standard Webhooks (standardwebhooks.com)."""

import base64
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from hansa.kernel.errors import BusinessError, Kind

WEBHOOK_TOLERANCE = timedelta(minutes=5)
"""How far the sender's clock may be off, and for how long a recorded request could be played back."""
LARGEST_SIGNATURES = 16
"""Signatures looked at in one request: a sender who changes secrets sends two."""
_WEBHOOK_VERSION = "v1"


class SignatureInvalid(BusinessError, code="security.signature_invalid", kind=Kind.UNAUTHENTICATED):
    """The signature is missing or wrong, or the request is too old or from the future."""


def sign_webhook(*, secrets: Sequence[bytes], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers to send with the body; while secrets are being changed, sign with the old one and the new one."""
    if not message_id or "." in message_id:
        raise ValueError("the id of a webhook is not empty and has no full stop, which separates what is signed")
    timestamp = str(int(at.timestamp()))
    signatures = [f"{_WEBHOOK_VERSION},{_webhook_signature(secret, message_id, timestamp, body)}" for secret in secrets]
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": " ".join(signatures)}


def verify_webhook(*, secrets: Sequence[bytes], headers: Mapping[str, str], body: bytes, now: datetime) -> str:
    """The id of a message that a holder of one of the secrets sent just now. Raises SignatureInvalid.

    `headers` are looked up in lower case. The same id may come again: what it causes must bear that.
    """
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not message_id or "." in message_id or not _is_recent(timestamp, now):
        raise SignatureInvalid()
    given = headers.get("webhook-signature", "").split(" ", LARGEST_SIGNATURES)[:LARGEST_SIGNATURES]
    expected = [
        f"{_WEBHOOK_VERSION},{_webhook_signature(secret, message_id, timestamp, body)}".encode() for secret in secrets
    ]
    # All pairs are compared, whichever fits, so that the time does not tell which.
    fits = [hmac.compare_digest(one.encode(errors="replace"), other) for one in given for other in expected]
    if not any(fits):
        raise SignatureInvalid()
    return message_id


def _is_recent(timestamp: str, now: datetime) -> bool:
    if not (timestamp.isascii() and timestamp.isdigit()) or len(timestamp) > 11:
        return False
    return abs(now - datetime.fromtimestamp(int(timestamp), UTC)) <= WEBHOOK_TOLERANCE


def _webhook_signature(secret: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    signed = f"{message_id}.{timestamp}.".encode(errors="replace") + body
    return base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()
