"""Where no broker does, the store that processes share tells them what has changed of their pages, too."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar

import msgspec

from hansa.kernel.event import Envelope, Event
from hansa.platform.cache.caching import Cache
from hansa.platform.cache.changes import Changes
from hansa.platform.cache.families import Family, Loaded
from hansa.platform.cache.freshness import Freshness, Shows
from hansa.platform.cache.port import Listener
from hansa.platform.cache.shelf import Shelf
from hansa.platform.messaging.local import LocalBus
from tests.clocks import ManualClock
from tests.platform.cache.local_store import LocalStore

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
THINGS = Family(name="tests.things", type=str)


class Changed(Event, frozen=True, kw_only=True):
    """A thing has changed."""

    type: ClassVar[str] = "test.changed.v1"

    thing: str


class Noted(LocalStore):
    """Notes what it was told in one go."""

    def __init__(self, *, tells: bool = True) -> None:
        super().__init__()
        self.tells = tells
        self.told: list[tuple[str, ...]] = []
        self.listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        super().listen(listener)
        self.listeners.append(listener)

    async def drop(self, keys: Sequence[str], *, cause: str = "") -> None:
        self.told.append(tuple(keys))
        await super().drop(keys, cause=cause)


class Process:
    """One that has the store, and pages."""

    def __init__(self, store: LocalStore) -> None:
        clock = ManualClock()
        self.cache = Cache(clock=clock, chance=random.Random(1), store=store)
        Shelf(self.cache, THINGS, load=nothing, forms=("en", "de"))
        self.changes = Changes()
        self.freshness = Freshness(changes=self.changes, cache=self.cache)
        self.freshness.show(
            Shows(
                event=Changed,
                tags=lambda body: (f"thing:{thing_of(body)}", "list"),
                things=lambda body: ((THINGS.name, thing_of(body)),),
            )
        )
        self.freshness.bus(LocalBus(clock=clock, chance=random.Random(1)))

    async def commit(self, thing: str) -> None:
        event = Changed(thing=thing)
        envelope = Envelope(
            id="1",
            type=event.type,
            source="test",
            time=MOMENT,
            slot=0,
            aggregate=thing,
            version=1,
            body=msgspec.Raw(msgspec.json.encode(event)),
        )
        self.freshness.committed([envelope])
        await self.cache.quiet()

    def is_shown_anew(self, *tags: str, since: int) -> bool:
        return all(self.changes.is_changed((tag,), since=since) for tag in tags)


def thing_of(body: msgspec.Raw) -> str:
    return msgspec.json.decode(body, type=Changed).thing


async def nothing(key: str) -> Loaded[str]:
    return Loaded(value=None)


async def test_what_one_process_has_committed_changes_the_pages_of_the_other():
    store = Noted()
    one, other = Process(store), Process(store)
    before = other.changes.number

    await one.commit("7")

    assert one.is_shown_anew("thing:7", "list", since=0)
    assert other.is_shown_anew("thing:7", "list", since=before)
    assert not other.changes.is_changed(("thing:8",), since=before)


async def test_a_thing_and_its_pages_are_told_together_so_that_no_page_is_made_of_what_is_old():
    """As a store that is spread over servers tells together only what has the same part in braces."""
    store = Noted()
    await Process(store).commit("7")

    [told] = store.told
    assert {name.partition("{")[2].partition("}")[0] for name in told} == {"7"}
    assert [name for name in told if name.startswith(THINGS.name)] == ["tests.things:{7}:en", "tests.things:{7}:de"]


async def test_what_may_have_passed_unheard_may_have_changed_every_page():
    store = Noted()
    process = Process(store)
    for act in (Listener.deaf, Listener.missed):
        before = process.changes.number
        for listener in store.listeners:
            getattr(listener, act.__name__)()
        assert process.is_shown_anew("thing:1", "anything", since=before)


async def test_a_store_that_tells_nobody_is_not_told_of_pages():
    store = Noted(tells=False)
    await Process(store).commit("7")

    assert store.told == [("tests.things:{7}:en", "tests.things:{7}:de")]
