"""That the next read shows what was done: caches are told at the commit, and who did it waits for what follows.

A commit that emits an event which changes public answers tells their tags at once, before anybody is answered. What
other services make of the event (a front page, a search index) comes a little later; so a command that promises to be
seen at once returns only when the bus has delivered what was committed meanwhile and what followed from that, or after
a bounded time. It waits outside of any transaction and holds nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import msgspec

from hansa.kernel.contract import methods_of
from hansa.kernel.event import Envelope, Event
from hansa.platform.cache.changes import Changes
from hansa.platform.messaging.port import Bus, Subscriber

LONGEST_WAIT_S = 0.5
MOST_UNDER_WAY = 1_000
"""Events that can be waited for; of more (an import) nobody waits for the rest."""
MOST_STEPS = 3
"""How far events follow from events: stock, product, and a reserve."""


@dataclass(frozen=True, kw_only=True)
class Shows:
    """An event that changes public answers: the tags of those that its own service gives, from the event's body."""

    event: type[Event]
    tags: Callable[[msgspec.Raw], tuple[str, ...]] = lambda body: ()


@dataclass(frozen=True, kw_only=True)
class Effects:
    """What a service's commands and events mean to caches; commands by the names of the contract's methods."""

    shows: tuple[Shows, ...] = ()
    tells: Mapping[str, Callable[[Mapping[str, Any]], tuple[str, ...]]] = field(default_factory=dict)
    """Commands after which tags are told, from their arguments; after a failure too, for it may have happened."""
    seen_at_once: tuple[str, ...] = ()
    """Commands that return when what they have changed can be seen everywhere."""


class Freshness:
    """See the module."""

    def __init__(self, *, changes: Changes) -> None:
        self._changes = changes
        self._tags: dict[str, Callable[[msgspec.Raw], tuple[str, ...]]] = {}
        self._under_way: dict[str, int] = {}
        self._number = 0
        self._moved: asyncio.Future[None] | None = None
        self._viewers: list[Callable[[], Awaitable[None]]] = []

    def show(self, shows: Shows) -> None:
        self._tags[shows.event.type] = shows.tags

    def follow(self, quiet: Callable[[], Awaitable[None]]) -> None:
        """Have waited for something that goes on after its events were digested; it returns at once if nothing does."""
        self._viewers.append(quiet)

    def committed(self, envelopes: Sequence[Envelope]) -> None:
        """Events were committed: tell the tags, and remember whom somebody may wait for."""
        told: dict[str, None] = {}
        for envelope in envelopes:
            tags = self._tags.get(envelope.type)
            if tags is None:
                continue
            told.update(dict.fromkeys(tags(envelope.body)))
            self._number += 1
            if len(self._under_way) >= MOST_UNDER_WAY:  # of what another process delivers nobody tells here
                del self._under_way[next(iter(self._under_way))]
            self._under_way[envelope.id] = self._number
        self._changes.tell(told)

    def delivered(self, envelopes: Sequence[Envelope]) -> None:
        """Every consumer of the events has committed."""
        for envelope in envelopes:
            self._under_way.pop(envelope.id, None)
        if self._moved is not None:
            self._moved.set_result(None)
            self._moved = None

    async def settled(self, *, since: int) -> None:
        """Return when what was committed after the number `since` can be seen, and what has followed from it."""
        if self._number == since:
            return
        try:
            async with asyncio.timeout(LONGEST_WAIT_S):
                for _ in range(MOST_STEPS):
                    until = self._number
                    await self._wait_for(since, until)
                    since = until
                    if self._number == until:
                        break
                for quiet in self._viewers:
                    await quiet()
        except TimeoutError:
            return

    async def _wait_for(self, since: int, until: int) -> None:
        while any(since < number <= until for number in self._under_way.values()):
            if self._moved is None:
                self._moved = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._moved)

    def client(self, contract: type, client: Any, effects: Effects) -> Any:
        """A client of a contract that does as the effects say."""
        if not effects.tells and not effects.seen_at_once:
            return client
        return SimpleNamespace(
            **{
                name: self._method(getattr(client, name), effects.tells.get(name), name in effects.seen_at_once)
                for name in methods_of(contract)
            }
        )

    def _method(self, method: Any, tags: Callable[[Mapping[str, Any]], tuple[str, ...]] | None, waits: bool) -> Any:
        if tags is None and not waits:
            return method

        async def told(**arguments: Any) -> Any:
            since = self._number
            try:
                answer = await method(**arguments)
            finally:
                if tags is not None:
                    self._changes.tell(tags(arguments))
            if waits:
                await self.settled(since=since)
            return answer

        return told

    def bus(self, bus: Bus) -> "Told":
        """A bus that tells when it has delivered."""
        return Told(bus, self)

    def subscriber(self, subscriber: Subscriber, tags: tuple[str, ...]) -> Subscriber:
        """A subscriber after whose deliveries tags are told."""
        return _Telling(subscriber, self._changes, tags) if tags else subscriber


class Told:
    """See `Freshness.bus`."""

    def __init__(self, bus: Bus, freshness: Freshness) -> None:
        self._bus = bus
        self._freshness = freshness

    def subscribe(self, *, consumer: str, type: str, subscriber: Subscriber) -> None:
        self._bus.subscribe(consumer=consumer, type=type, subscriber=subscriber)

    async def publish(self, batch: Sequence[Envelope]) -> None:
        await self._bus.publish(batch)
        self._freshness.delivered(batch)

    async def close(self) -> None:
        await self._bus.close()


class _Telling:
    """See `Freshness.subscriber`."""

    def __init__(self, subscriber: Subscriber, changes: Changes, tags: tuple[str, ...]) -> None:
        self._subscriber = subscriber
        self._changes = changes
        self._tags = tags

    async def deliver(self, batch: Sequence[Envelope]) -> None:
        try:
            await self._subscriber.deliver(batch)
        finally:
            self._changes.tell(self._tags)

    async def park(self, envelope: Envelope, *, error: str, attempts: int) -> None:
        await self._subscriber.park(envelope, error=error, attempts=attempts)
