"""What a message bus is to the rest: publish a batch, and hear batches as a named consumer or as one of all
processes."""

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

    `name` begins with that of its service and a dot. `handle` is given only events whose effect is not yet there, and
    its transaction commits effect and inbox rows together. It must not call anybody; what must be said to the outside
    is written down there and done by a job, which `afterwards` may wake. Events that `concerns` denies cost nothing,
    not even a note in the inbox, so nothing may be lost by that: whoever is to be denied once is to be denied again, or
    may as well be heard the second time.
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


class Listener(Protocol):
    """Hears what every process hears. It keeps copies and hints only, so it may be told too much, but never too
    little."""

    def hear(self, batch: Sequence[Envelope]) -> None: ...

    def missed(self) -> None:
        """Events may have passed unheard (a lost connection): whatever was made of them is to be made anew."""
        ...


class NotPublished(Exception):
    """Some events of a batch are not certain to be safe with the bus; all others are."""

    def __init__(self, events: Sequence[Envelope], reason: str) -> None:
        super().__init__(f"{len(events)} events are not published: {reason}")
        self.events = events


class BusUnusable(Exception):
    """The broker is there and cannot be used as it is: other topology, no permission. The text says what to do."""


class Bus(Protocol):
    """At least once, in no promised order, though brokers keep that in which a process publishes.

    Everybody subscribes first; then `start`. `type` is that of the event, whose first part is the service it comes
    from.
    """

    @property
    def has_broker(self) -> bool:
        """Whether events leave the process, so that to have published is not to have delivered."""
        ...

    def subscribe(self, *, consumer: str, type: str, subscriber: Subscriber) -> None:
        """In work mode: of all processes that have a consumer of this name, one gets the event."""
        ...

    def listen(self, *, type: str, listener: Listener) -> None:
        """In broadcast mode: every process gets the event, from its start on and while it lives."""
        ...

    async def start(self) -> None:
        """Begin to deliver. A broker that does not answer is tried again until it does; raises BusUnusable for one that
        answers and is not as it must be."""
        ...

    async def publish(self, batch: Sequence[Envelope]) -> None:
        """Return when every event of the batch is safe with the bus. Raises NotPublished when that is not certain of
        some, and anything else when it is certain of none."""
        ...

    async def close(self) -> None:
        """Stop; what was delivered and not acknowledged will be delivered again."""
        ...


def service_of(name: str) -> str:
    """The service of a consumer (`home.order_placed`), or the one that an event type comes from."""
    return name.partition(".")[0]


def decode_event(envelope: Envelope, type_: type[E]) -> Received[E]:
    """The event is decoded once for all who hear it. Raises Permanent for another type, and for a body that is not of
    the type: no retry will mend it."""
    event = envelope.__dict__.get("event")
    if not isinstance(event, type_):
        if envelope.type != type_.type:
            raise Permanent(f"{envelope.type} is not {type_.type}")
        try:
            event = envelope.__dict__["event"] = _decoder(type_).decode(envelope.body)
        except msgspec.MsgspecError as error:
            raise Permanent(f"body is not a {type_.type}: {error}") from error
    return Received(envelope, event)


@lru_cache(maxsize=256)
def _decoder(type_: type[E]) -> "msgspec.json.Decoder[E]":
    return msgspec.json.Decoder(type_)
