"""What staff may ask about events that could not be digested: see them, have them delivered again, discard them."""

from datetime import datetime
from typing import Annotated, Literal, Protocol

import msgspec

from hansa.kernel.contract import Key, command, query
from hansa.kernel.errors import BusinessError, Kind
from hansa.kernel.ids import Id
from hansa.kernel.page import CursorInvalid, Limit, Page

Order = Literal["latest", "oldest"]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""With its offset from UTC."""
Searched = Annotated[str, msgspec.Meta(max_length=200)]

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
    address: str
    """The exchange (RabbitMQ), topic (Kafka) or stream (Redis) that it comes from where there is a broker."""
    routing_key: str
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


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which letters are meant; what is None is not asked for."""

    service: str | None = None
    consumer: str | None = None
    type: str | None = None
    error: Searched | None = None
    """A part of the error as it is shown, in large or small letters."""
    since: Moment | None = None
    """Parked then or later."""
    until: Moment | None = None
    """Parked before."""


EVERY = Wanted()


class Hearing(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer there is, and what it hears."""

    service: str
    consumer: str
    type: str


class DeadLetters(Protocol):
    """The dead letters of all services. `actor` is whoever of the staff asks."""

    @query(errors=(CursorInvalid,), timeout_ms=30_000)
    async def list(
        self, *, wanted: Wanted = EVERY, order: Order = "latest", limit: Limit = 20, cursor: str | None = None
    ) -> Page[DeadLetter]:
        """Letters by the moment they were parked. A page may hold fewer than it could where an error is looked for."""
        ...

    @query(errors=(NoSuchDeadLetter,))
    async def get(self, *, service: str, consumer: str, event_id: str) -> DeadLetter: ...

    @query()
    async def hearings(self) -> tuple[Hearing, ...]:
        """Every consumer that may have letters, by service and name."""
        ...

    @command(errors=(NoSuchDeadLetter, ConsumerGone), timeout_ms=30_000)
    async def replay(self, *, key: Key, service: str, consumer: str, event_id: str, actor: str) -> DeadLetter | None:
        """Deliver the event again to the consumer that parked it. None: it has taken effect, once however often and by
        however many it is replayed, and the letter is gone; else the letter as it stays, with the new error.

        Leaves an audit row when it succeeds. The same key does it once for each letter.
        """
        ...

    @command(errors=(NoSuchDeadLetter,))
    async def discard(self, *, key: Key, service: str, consumer: str, event_id: str, actor: str) -> None:
        """Give the event up: it will never have its effect. Leaves an audit row."""
        ...
