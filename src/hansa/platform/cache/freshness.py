"""That the next read shows what was done: caches are told at the commit, and who did it waits for what follows.

A commit that emits an event which changes public answers tells their tags at once, before anybody is answered. What
other services make of the event (a front page, a search index) comes a little later; so a command that promises to be
seen at once returns only when the bus has delivered what was committed meanwhile and what followed from that, or after
a bounded time. It waits outside of any transaction and holds nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

import msgspec

from hansa.kernel.contract import methods_of
from hansa.kernel.event import Envelope, Event
from hansa.platform.cache.caching import Cache
from hansa.platform.cache.changes import Changes
from hansa.platform.messaging.port import Bus, Listener, Subscriber

LONGEST_WAIT_S = 0.5
MOST_UNDER_WAY = 1_000
"""Events that can be waited for; of more (an import) nobody waits for the rest."""
TAGS = "tags:{"
"""Before the names of tags among those of keys. In the braces is a thing that has changed, so that a store which is
spread over servers drops both together, and nobody makes a page anew of what is old."""
MOST_STEPS = 3
"""How far events follow from events: stock, product, and a reserve."""


@dataclass(frozen=True, kw_only=True)
class Shows:
    """An event that changes public answers: the tags of those that its own service gives, from the event's body."""

    event: type[Event]
    tags: Callable[[msgspec.Raw], tuple[str, ...]] = lambda body: ()
    things: Callable[[msgspec.Raw], tuple[tuple[str, str], ...]] = lambda body: ()
    """What the event changes of what services keep in the cache: families, and in each the thing of a key's braces."""


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

    def __init__(self, *, changes: Changes, cache: Cache | None = None) -> None:
        self._changes = changes
        self._cache = cache
        self._tells_tags = False
        self._shows: dict[str, Shows] = {}
        self._under_way: dict[str, int] = {}
        self._number = 0
        self._moved: asyncio.Future[None] | None = None
        self._viewers: list[Callable[[], Awaitable[None]]] = []
        if cache is not None:
            self._viewers.append(cache.quiet)
            if cache.shared is not None:
                cache.shared.store.listen(_Pages(changes))

    def show(self, shows: Shows) -> None:
        self._shows[shows.event.type] = shows

    def follow(self, quiet: Callable[[], Awaitable[None]]) -> None:
        """Have waited for something that goes on after its events were digested; it returns at once if nothing does."""
        self._viewers.append(quiet)

    def committed(self, envelopes: Sequence[Envelope]) -> None:
        """Events were committed: tell the tags, and remember whom somebody may wait for."""
        told: dict[str, None] = {}
        for envelope in envelopes:
            shows = self._shows.get(envelope.type)
            if shows is None:
                continue
            tags = shows.tags(envelope.body)
            told.update(dict.fromkeys(tags))
            self._tell_cache(envelope, shows, tags)
            self._number += 1
            if len(self._under_way) >= MOST_UNDER_WAY:  # of what another process delivers nobody tells here
                del self._under_way[next(iter(self._under_way))]
            self._under_way[envelope.id] = self._number
        self._changes.tell(told)

    def is_shown(self, type_: str) -> bool:
        """Whether events of the type change public answers."""
        return type_ in self._shows

    def hear(self, batch: Sequence[Envelope]) -> None:
        """Events that some process has committed, this one or another: tell the tags."""
        told: dict[str, None] = {}
        for envelope in batch:
            if shows := self._shows.get(envelope.type):
                tags = shows.tags(envelope.body)
                told.update(dict.fromkeys(tags))
                if envelope.id not in self._under_way:
                    self._tell_cache(envelope, shows, tags)
        self._changes.tell(told)

    def missed(self) -> None:
        """Nobody knows what other processes have committed meanwhile: the worst is assumed."""
        self._changes.tell_everything()
        if self._cache is not None:
            self._cache.forget_everything()

    def _tell_cache(self, envelope: Envelope, shows: Shows, tags: Sequence[str]) -> None:
        """The process that has committed may have died before it told the store; and a store tells its processes what
        they must forget of pages, too, where no broker does."""
        if self._cache is None:
            return
        things = shows.things(envelope.body)
        names = [name for family, thing in things for name in self._cache.names_of(family, thing)]
        if self._tells_tags:
            beside = things[0][1] if things else "-"
            names += [f"{TAGS}{beside}}}:{tag}" for tag in tags]
        self._cache.tell(names, cause=envelope.id)

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
        """A bus that tells when it has delivered, once all shown events are known; behind a broker it is listened to
        for what other processes commit."""
        shared = None if self._cache is None else self._cache.shared
        self._tells_tags = shared is not None and shared.store.tells and not bus.has_broker
        if bus.has_broker or shared is not None:
            for type_ in self._shows:
                bus.listen(type=type_, listener=self)
        return Told(bus, self)

    def subscriber(self, subscriber: Subscriber, tags: tuple[str, ...]) -> Subscriber:
        """A subscriber after whose deliveries tags are told."""
        return _Telling(subscriber, self._changes, tags) if tags else subscriber


class _Pages:
    """Hears from a store what other processes have changed of pages; what may have passed unheard may be anything."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def dropped(self, keys: Sequence[str]) -> None:
        self._changes.tell([key.partition("}:")[2] for key in keys if key.startswith(TAGS)])

    def missed(self) -> None:
        self._changes.tell_everything()

    def deaf(self) -> None:
        self._changes.tell_everything()


class Told:
    """See `Freshness.bus`. Behind a broker, delivered means that every consumer in this process has handled the event:
    of what another process handles nobody hears, and whoever waits for it does so for the bounded time."""

    def __init__(self, bus: Bus, freshness: Freshness) -> None:
        self._bus = bus
        self._freshness = freshness
        self._consumers: dict[str, set[str]] = {}
        self._waited_for: dict[str, set[str]] = {}

    @property
    def has_broker(self) -> bool:
        return self._bus.has_broker

    def subscribe(self, *, consumer: str, type: str, subscriber: Subscriber) -> None:
        if self.has_broker and self._freshness.is_shown(type):
            self._consumers.setdefault(type, set()).add(consumer)
            subscriber = _Reporting(subscriber, partial(self._handled, consumer))
        self._bus.subscribe(consumer=consumer, type=type, subscriber=subscriber)

    def listen(self, *, type: str, listener: Listener) -> None:
        self._bus.listen(type=type, listener=listener)

    async def start(self) -> None:
        await self._bus.start()
        if self.has_broker:
            self._freshness.missed()  # whatever was kept before anybody listened

    async def publish(self, batch: Sequence[Envelope]) -> None:
        if self.has_broker:
            for envelope in batch:
                if consumers := self._consumers.get(envelope.type):
                    self._waited_for[envelope.id] = set(consumers)
        try:
            await self._bus.publish(batch)
        except BaseException:
            for envelope in batch:
                self._waited_for.pop(envelope.id, None)
            raise
        while len(self._waited_for) > MOST_UNDER_WAY:
            del self._waited_for[next(iter(self._waited_for))]
        self._freshness.delivered([envelope for envelope in batch if envelope.id not in self._waited_for])

    async def close(self) -> None:
        await self._bus.close()

    def _handled(self, consumer: str, batch: Sequence[Envelope]) -> None:
        over = []
        for envelope in batch:
            if (waited_for := self._waited_for.get(envelope.id)) is not None:
                waited_for.discard(consumer)
                if not waited_for:
                    del self._waited_for[envelope.id]
                    over.append(envelope)
        if over:
            self._freshness.delivered(over)


class _Reporting:
    """A subscriber that reports what it has handled."""

    def __init__(self, subscriber: Subscriber, report: Callable[[Sequence[Envelope]], None]) -> None:
        self._subscriber = subscriber
        self._report = report

    async def deliver(self, batch: Sequence[Envelope]) -> None:
        await self._subscriber.deliver(batch)
        self._report(batch)

    async def park(self, envelope: Envelope, *, error: str, attempts: int) -> None:
        await self._subscriber.park(envelope, error=error, attempts=attempts)
        self._report([envelope])


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
