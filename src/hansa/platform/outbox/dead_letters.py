"""What staff may ask about events that could not be digested: see them, have them delivered again, discard them."""

from datetime import datetime
from typing import Protocol

import msgspec

from hansa.kernel.errors import BusinessError, Kind
from hansa.kernel.ids import Id
from hansa.kernel.page import Limit, Page

SEALED = "(sealed)"
"""What is shown of personal data in a body, which is sealed there."""


class NoSuchDeadLetter(BusinessError, code="dead_letters.not_found", kind=Kind.NOT_FOUND):
    """There is no such dead letter: it has been delivered or discarded since, or there never was one."""


class ConsumerGone(BusinessError, code="dead_letters.consumer_gone", kind=Kind.CONFLICT):
    """Nothing of this name takes events in this version of the shop; the letter can only be discarded."""

    consumer: str


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """An event that one consumer of a service could not digest; `service`, `consumer` and `event_id` name it."""

    service: str
    """Of the consumer; `source` is the service that the event comes from."""
    consumer: str
    event_id: Id
    type: str
    source: str
    aggregate: str
    version: int
    time: datetime
    """When it happened."""
    channel: str
    seller: str
    location: str
    subject: str
    """A pseudonym of the person concerned, or empty."""
    correlation: str
    body: str
    """JSON, indented, with `(sealed)` in place of what is sealed."""
    error: str
    """Of the latest attempt, with e-mail addresses, card numbers and credentials masked."""
    attempts: int
    parked_at: datetime


class DeadLetters(Protocol):
    """The dead letters of all services. `actor` is whoever of the staff asks."""

    async def list(
        self, *, service: str | None = None, limit: Limit = 20, cursor: str | None = None
    ) -> Page[DeadLetter]:
        """Those of one service or of all, the latest parked first. Raises CursorInvalid."""
        ...

    async def get(self, *, service: str, consumer: str, event_id: str) -> DeadLetter:
        """Raises NoSuchDeadLetter."""
        ...

    async def replay(self, *, service: str, consumer: str, event_id: str, actor: str) -> DeadLetter | None:
        """Deliver the event again to the consumer that parked it. None: it has taken effect, once however often and by
        however many it is replayed, and the letter is gone; else the letter as it stays, with the new error.

        Raises NoSuchDeadLetter and ConsumerGone. Leaves an audit row when it succeeds.
        """
        ...

    async def discard(self, *, service: str, consumer: str, event_id: str, actor: str) -> None:
        """Give the event up: it will never have its effect. Raises NoSuchDeadLetter; leaves an audit row."""
        ...
