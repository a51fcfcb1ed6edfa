"""How somebody outside follows one thing, such as an order: a pass that opens its topic and nothing else, and notices.

A notice is no promise: whoever is not connected, or comes too late, asks the shop. So nothing here ever holds up whom
it is about, and what cannot be said now is not said.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit

import structlog

from hansa.kernel.clock import Clock
from hansa.kernel.event import Envelope, Event
from hansa.platform.messaging.port import Bus, Permanent, decode_event

MQTT_SCHEMES = ("mqtt", "mqtts", "ws", "wss")
STOMP_SCHEMES = ("stomp", "stomp+ssl", "ws", "wss")
"""How devices may be told to reach a broker."""
PASS_LIVES = timedelta(hours=1)
STALE = timedelta(minutes=10)
"""What has happened before that is no news: the broker was away, or nobody was there to tell it."""

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class MqttDoor:
    """How to follow by MQTT 3.1.1; the password is the token."""

    url: str
    username: str
    client_id: str
    topic: str


@dataclass(frozen=True, kw_only=True)
class StompDoor:
    """How to follow by STOMP 1.2; the passcode is the token, and `queue` goes into the header `x-queue-name`."""

    url: str
    host: str
    login: str
    destination: str
    queue: str


@dataclass(frozen=True, kw_only=True)
class Pass:
    """Opens the topic of one thing to one device at a time, until it expires."""

    token: str
    expires_at: datetime
    mqtt: MqttDoor | None
    stomp: StompDoor | None


@dataclass(frozen=True, kw_only=True)
class Followed:
    """What a service lets its things be followed by: `kind` is what they are called in topics, such as `order`, and
    `says` what is said of an event in one word. Both are public."""

    kind: str
    says: Mapping[type[Event], Callable[[Any], str]]


@dataclass(frozen=True, kw_only=True)
class Notice:
    """That something has happened to a thing; nothing that is personal, and nothing that could not be asked for."""

    kind: str
    envelope: Envelope
    what: str


def is_address_of(url: str, schemes: Sequence[str]) -> bool:
    """Whether a URL says how to reach a broker, and nothing that would be given away with it."""
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and not set(url) & set(" \\\"'<>@?#")
    return has_port and is_plain and parts.scheme in schemes and bool(parts.hostname)


class Following(Protocol):
    """Where passes come from and notices go."""

    def admit(self, *, kind: str, id: str) -> Pass:
        """A fresh pass. Whether somebody may have it was decided before."""
        ...

    async def tell(self, notices: Sequence[Notice]) -> None:
        """Say it to whoever follows, or to nobody; returns in bounded time and raises nothing."""
        ...

    async def close(self) -> None: ...


def tell_of(followed: Followed, *, service: str, bus: Bus, following: Following, clock: Clock) -> None:
    """Have one process of all hear each event of the service, and tell it."""
    for event, says in followed.says.items():
        name = f"{service}.follow_{event.type.split('.')[1]}"
        teller = Teller(event=event, kind=followed.kind, says=says, following=following, clock=clock)
        bus.subscribe(consumer=name, type=event.type, subscriber=teller)


class Teller:
    """A subscriber without memory: a repeated delivery is a repeated notice, of the same id."""

    def __init__(
        self, *, event: type[Event], kind: str, says: Callable[[Any], str], following: Following, clock: Clock
    ) -> None:
        self._event = event
        self._kind = kind
        self._says = says
        self._following = following
        self._clock = clock

    async def deliver(self, batch: Sequence[Envelope]) -> None:
        oldest = self._clock.now() - STALE
        notices = [notice for envelope in batch if envelope.time >= oldest and (notice := self._notice_of(envelope))]
        if notices:
            await self._following.tell(notices)

    async def park(self, envelope: Envelope, *, error: str, attempts: int) -> None:
        """Nothing is kept: there is a consumer beside this one for whom it matters."""
        log.debug("notice dropped", event_id=envelope.id, type=envelope.type, error=error.partition(":")[0])

    def _notice_of(self, envelope: Envelope) -> Notice | None:
        try:
            event = decode_event(envelope, self._event).event
        except Permanent as error:
            log.warning("event cannot be told", event_id=envelope.id, type=envelope.type, error=type(error).__name__)
            return None
        return Notice(kind=self._kind, envelope=envelope, what=self._says(event))
