"""What webhooks say and when: bodies, secrets, what an answer means, and how patiently it is tried again."""

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import msgspec

ACTIVE, PAUSED, FAILING, GONE, DELETED = "active", "paused", "failing", "gone", "deleted"
"""The states of a webhook; of one that is deleted only the row stays, as long as the log of its deliveries."""
DUE, DELIVERED, FAILED, DROPPED = "due", "delivered", "failed", "dropped"
"""The states of a delivery."""

DELAYS_S = (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600)
"""Between attempts, as Standard Webhooks proposes: the first at once, the last a day and some hours later."""
MOST_ATTEMPTS = len(DELAYS_S) + 1
JITTER = 0.1
"""Part of a delay by which it may be longer, so that failures do not return in step."""
LONGEST_RETRY_AFTER_S = 12 * 3600
"""How long a receiver may ask to be left alone."""
GIVEN_UP_AFTER = timedelta(days=3)
"""How long nothing may arrive at all before a webhook is paused."""
SILENT_AFTER = timedelta(days=1)
"""How long nothing need fail until the next failure is a first one again: longer than between any two attempts, so that
what was given up long ago does not count for what is sent today."""
OLD_SECRET_FOR = timedelta(hours=24)
REMEMBERED = timedelta(days=30)
"""How long deliveries are kept, counted from the event."""

SECRET_PREFIX = "whsec_"
_GONE_STATUS = 410
_RETRY_AFTER_STATUSES = frozenset({429, 503})

Verdict = Literal["delivered", "gone", "again"]


def body(*, type_: str, at: datetime, data: Any) -> bytes:
    """What is sent of an event: its type, when it happened, and its own body."""
    moment = at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return msgspec.json.encode({"type": type_, "timestamp": moment, "data": data})


def hears(*, state: str, types: Sequence[str], type_: str) -> bool:
    """Whether events of a type are noted for a webhook; what is noted while it is paused waits."""
    return state not in (GONE, DELETED) and (not types or type_ in types)


def verdict(status: int) -> Verdict:
    if 200 <= status < 300:
        return "delivered"
    return "gone" if status == _GONE_STATUS else "again"


def next_attempt(*, attempts: int, at: datetime, name: str, asked_s: float = 0) -> datetime | None:
    """When to try again what was tried so often, this time included; None if that was the last time.

    `asked_s` is what the receiver has asked for. The jitter is drawn from `name`, which is the delivery's: chance is
    not needed for what shall only be different for each.
    """
    if attempts >= MOST_ATTEMPTS:
        return None
    delay_s = max(DELAYS_S[max(attempts, 1) - 1], min(asked_s, LONGEST_RETRY_AFTER_S))
    return at + timedelta(seconds=delay_s * (1 + JITTER * _fraction(f"{name} {attempts}")))


def asked_delay_s(*, status: int, retry_after: str, now: datetime) -> float:
    """For how many seconds a receiver wants to be left alone (RFC 9110: a number, or a moment); 0 if it says nothing
    that could be understood."""
    text = retry_after.strip()
    if status not in _RETRY_AFTER_STATUSES or not text:
        return 0
    if text.isascii() and text.isdigit():
        return float(min(int(text[:9]), LONGEST_RETRY_AFTER_S))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError, OverflowError):
        return 0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0), LONGEST_RETRY_AFTER_S)


def secret_text(secret: bytes) -> str:
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def secret_bytes(text: str) -> bytes:
    return base64.b64decode(text.removeprefix(SECRET_PREFIX))


def secret_of(token: str) -> str:
    """A secret from 256 random bits in base64url."""
    return secret_text(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))


def unknown_type(types: Sequence[str], *, known: Sequence[str]) -> str | None:
    """The first that is no type of events."""
    return next((type_ for type_ in types if type_ not in known), None)


def _fraction(name: str) -> float:
    """A number from 0 up to 1 that looks drawn by chance and is the same for the same name."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest()) / 2**32
