"""What a message bus is to the rest: publish a batch, and hear batches as a named consumer."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, Protocol, TypeVar

import msgspec

from hansa.kernel.event import Envelope, Event
from hansa.platform.database.port import Transaction

E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class Received(Generic[E]):
    """An event as a consumer sees it."""

    envelope: Envelope
    event: E


@dataclass(frozen=True, kw_only=True)
class Consumer(Generic[E]):
    """What a service does about one type of event, in work mode: one process of the group hears each event.

    `handle` is given only events whose effect is not yet there, and its transaction commits effect and inbox rows
    together. It must not call anybody; what must be said to the outside is written down there and done by a job, which
    `afterwards` may wake. Events that `concerns` denies cost nothing, not even a note in the inbox: it looks at nothing
    but the event, so it says the same each time.
    """

    name: str
    hears: type[E]
    handle: Callable[[Transaction, Sequence[Received[E]]], Awaitable[None]]
    concerns: Callable[[E], bool] | None = None
    afterwards: Callable[[], Awaitable[None]] | None = None
    changes: tuple[str, ...] = ()
    """Tags of public answers that are others once it has handled something."""


class Permanent(Exception):
    """A consumer says that an event can never be digested: it is parked at once, without retries."""


class Subscriber(Protocol):
    """Receives batches; returning is the acknowledgement, raising asks for another delivery."""

    async def deliver(self, batch: Sequence[Envelope]) -> None: ...

    async def park(self, envelope: Envelope, *, error: str, attempts: int) -> None:
        """Keep an event that could not be digested as a dead letter, durably."""
        ...


class Bus(Protocol):
    """At least once, in no promised order."""

    def subscribe(self, *, consumer: str, type: str, subscriber: Subscriber) -> None: ...

    async def publish(self, batch: Sequence[Envelope]) -> None:
        """Return when every event of the batch is safe with the bus; raise if that is not certain."""
        ...

    async def close(self) -> None: ...


def decode_event(envelope: Envelope, type_: type[E]) -> Received[E]:
    """The event is decoded once for all who hear it. Raises Permanent for a body that is not of the type: no retry will
    mend it."""
    event = envelope.__dict__.get("event")
    if not isinstance(event, type_):
        try:
            event = envelope.__dict__["event"] = _decoder(type_).decode(envelope.body)
        except msgspec.MsgspecError as error:
            raise Permanent(f"body is not a {type_.type}: {error}") from error
    return Received(envelope, event)


@lru_cache(maxsize=256)
def _decoder(type_: type[E]) -> "msgspec.json.Decoder[E]":
    return msgspec.json.Decoder(type_)
