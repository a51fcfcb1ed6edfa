"""What is said to the sandbox provider's books, and what they say."""

import hashlib
from typing import Literal

import msgspec

from hansa.kernel.money import Money
from hansa.platform.providers.payments import Answer

_encoded = msgspec.json.Encoder().encode


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the books, as an auditor sees it; `key` is that of the charge."""

    key: str
    kind: Literal["authorized", "captured", "voided", "refunded"]
    amount: Money
    made_at: int


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a webhook."""

    type: str
    key: str
    answer: Answer


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook to be sent."""

    number: int
    id: str
    body: bytes


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a new charge: at once, or after a while and then told by so many copies of a webhook."""

    is_declined: bool = False
    reason: str = ""
    ripens_after: int | None = None
    webhooks: int = 0


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """A charge as it is asked for, and what is to become of it."""

    key: str
    token: str
    amount: Money
    capture: bool
    fate: Fate
    now: int

    @property
    def request(self) -> str:
        """What tells this charge from another one with the same key."""
        return hashlib.blake2b(_encoded([self.token, self.amount, self.capture]), digest_size=16).hexdigest()

    @property
    def is_done_at_once(self) -> bool:
        """Whether it ends the moment it comes, and no webhook has to tell of it."""
        return self.fate.is_declined or (self.fate.ripens_after is None and not self.fate.webhooks)

    @property
    def first_state(self) -> Literal["declined", "captured", "authorized"]:
        """In which state it ends, if it is done at once."""
        if self.fate.is_declined:
            return "declined"
        return "captured" if self.capture else "authorized"
