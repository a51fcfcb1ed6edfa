"""What a service says of itself, so that it can be composed without being known."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import MetaData

from hansa.kernel.channel import Channel
from hansa.kernel.clock import Clock
from hansa.kernel.event import Event
from hansa.kernel.ids import Ids
from hansa.platform.cache.caching import Cache
from hansa.platform.cache.changes import Changes
from hansa.platform.cache.freshness import Effects
from hansa.platform.database.port import Database
from hansa.platform.http.early import EarlyHook
from hansa.platform.http.route import Route
from hansa.platform.jobs.periodic import Job
from hansa.platform.mail.port import Mailer
from hansa.platform.messaging.following import Followed, Following
from hansa.platform.messaging.port import Consumer
from hansa.platform.security.passwords import Passwords
from hansa.platform.security.sealing import Keyring

C = TypeVar("C")


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a service may be built from. `clients` holds the contracts it says it uses, near or far."""

    database: Database
    clock: Clock
    ids: Ids
    channel: Channel
    keyring: Keyring
    passwords: Passwords
    mailer: Mailer
    public_url: str
    """Where people reach the shop: scheme, host and port, without a slash at the end."""
    shop_name: str
    clients: Mapping[type, Any] = field(default_factory=dict)
    following: Following | None = None
    """Where passes come from with which its things can be followed; None where there is no broker for that."""
    adapters: Mapping[str, Any] = field(default_factory=dict)
    """Adapters to outside parties by name, such as payment providers."""
    cache: Cache | None = None
    """Where to keep copies of what is read often."""
    changes: Changes = field(default_factory=Changes)
    """Where to tell what public answers no longer hold, if neither an event nor a command says so."""

    def client(self, contract: type[C]) -> C:
        return cast(C, self.clients[contract])


async def _nothing_under_way(service: Any) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One service: what it is called, whom it asks, what it keeps, hears, does by itself, and shows in public."""

    name: str
    contract: type | None
    uses: tuple[type, ...] = ()
    metadata: MetaData
    folder: Path
    """The service's own folder, where its migrations are."""
    build: Callable[[Parts], Any]
    emits: tuple[type[Event], ...] = ()
    """Every event that the service can say, in all versions that it says: they are public (docs/events.md)."""
    followed: Followed | None = None
    """Which of them somebody outside may follow, one thing at a time."""
    consumers: Callable[[Any], Sequence[Consumer[Any]]] = lambda service: ()
    jobs: Callable[[Any], Sequence[Job]] = lambda service: ()
    quiet: Callable[[Any], Awaitable[None]] = _nothing_under_way
    """Returns when nothing runs that events have set going: for tests and orderly stops."""
    close: Callable[[Any], Awaitable[None]] = _nothing_under_way
    """Breaks off, before databases close, what the service does without anybody waiting for it."""
    effects: Effects = field(default_factory=Effects)
    """What its commands and events mean to the caches of public answers."""
    settling: Callable[[Any], Callable[[], Awaitable[None]]] | None = None
    """What goes on for a moment after its events were digested before it can be seen, such as an index."""
    routes: Callable[[Any], Sequence[Route]] = lambda client: ()
    """Public routes over a client of the contract (of the service itself where it has none)."""
    early: Callable[[Any], Mapping[str, EarlyHook]] = lambda service: {}
    """By the name of a route, its own or another service's: who may be turned away there before anything is asked."""
