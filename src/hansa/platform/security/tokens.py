"""Signed short tokens that expire, and signatures of webhooks after Standard Webhooks (standardwebhooks.com)."""

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from hansa.kernel.clock import to_micros
from hansa.kernel.errors import BusinessError, Kind

T = TypeVar("T", bound=msgspec.Struct)

LARGEST_TOKEN = 4096
"""Characters; who sends more is not even listened to."""
WEBHOOK_TOLERANCE = timedelta(minutes=5)
"""How far the sender's clock may be off, and for how long a recorded request could be played back."""
LARGEST_SIGNATURES = 16
"""Signatures looked at in one request: a sender who changes secrets sends two."""
_WEBHOOK_VERSION = "v1"


class TokenInvalid(BusinessError, code="security.token_invalid", kind=Kind.UNAUTHENTICATED):
    """The token is not one that was given out for this purpose, or its time is over."""


class SignatureInvalid(BusinessError, code="security.signature_invalid", kind=Kind.UNAUTHENTICATED):
    """The signature is missing or wrong, or the request is too old or from the future."""


def sign(*, key: bytes, purpose: str, body: msgspec.Struct, expires_at: datetime) -> str:
    """A token that anybody can read and nobody can change. It is good for its purpose only."""
    payload = _to_text(msgspec.json.encode([to_micros(expires_at), body]))
    token = f"{payload}.{_signature(key, purpose, payload)}"
    if len(token) > LARGEST_TOKEN:
        raise ValueError(f"a token of {len(token)} characters is too long")
    return token


def verify(*, key: bytes, purpose: str, token: str, type: type[T], now: datetime) -> T:
    """What the token says. Raises TokenInvalid if it was changed, is for another purpose, or has expired."""
    payload, _, signature = token[: LARGEST_TOKEN + 1].partition(".")
    expected = _signature(key, purpose, payload)
    if len(token) > LARGEST_TOKEN or not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
        raise TokenInvalid()
    expires_at, body = _decoded(payload, type)
    if to_micros(now) >= expires_at:
        raise TokenInvalid()
    return body


def _signature(key: bytes, purpose: str, payload: str) -> str:
    # A key per purpose, so that a token for one thing is never taken for another.
    own_key = hmac.digest(key, f"hansa token 1 {purpose}".encode(), "sha256")
    return _to_text(hmac.digest(own_key, payload.encode(errors="replace"), "sha256"))


def _decoded(payload: str, type_: type[T]) -> tuple[int, T]:
    try:
        data = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        shape: Any = tuple[int, type_]  # type: ignore[valid-type]
        decoded: tuple[int, T] = msgspec.json.decode(data, type=shape)
        return decoded
    except (msgspec.MsgspecError, binascii.Error, ValueError) as error:
        raise TokenInvalid() from error


def _to_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


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
