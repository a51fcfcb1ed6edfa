"""Whoever changes what everybody sees waits until it is seen, and not for ever."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol

import msgspec
import pytest

from hansa.kernel.contract import Key, command, query
from hansa.kernel.event import Envelope, Event
from hansa.platform.cache import freshness as module
from hansa.platform.cache.changes import Changes
from hansa.platform.cache.freshness import Effects, Freshness, Shows
from hansa.platform.messaging.port import Listener, Subscriber

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


class Sold(Event, frozen=True, kw_only=True):
    """The last piece was sold."""

    type: ClassVar[str] = "test.sold.v1"

    sku: str


class Gone(Event, frozen=True, kw_only=True):
    """It cannot be had any more."""

    type: ClassVar[str] = "test.gone.v1"

    sku: str


class Shelf(Protocol):
    """A contract."""

    @command()
    async def sell(self, *, key: Key, sku: str) -> int: ...

    @command()
    async def count(self, *, key: Key) -> None: ...

    @query()
    async def left(self) -> int: ...


class _Sku(msgspec.Struct):
    sku: str


def envelope(number: int, event: Sold | Gone) -> Envelope:
    return Envelope(
        id=str(number),
        type=event.type,
        source="test",
        time=MOMENT,
        slot=0,
        aggregate=event.sku,
        version=1,
        channel="",
        seller="",
        location="",
        subject="",
        correlation="",
        body=msgspec.Raw(msgspec.json.encode(event)),
    )


class SlowBus:
    """Delivers when it is told to."""

    has_broker = False

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.following: Callable[[], Any] = lambda: None

    def subscribe(self, *, consumer: str, type: str, subscriber: Subscriber) -> None: ...

    def listen(self, *, type: str, listener: Listener) -> None: ...

    async def start(self) -> None: ...

    async def publish(self, batch: Sequence[Envelope]) -> None:
        await self.gate.wait()
        self.following()

    async def close(self) -> None: ...


class World:
    """A shelf whose sales are told by an event, from which another one follows."""

    def __init__(self) -> None:
        self.changes = Changes()
        self.told: list[tuple[str, ...]] = []
        self.changes.listen(self.told.append)
        self.freshness = Freshness(changes=self.changes)
        self.freshness.show(Shows(event=Sold))
        self.freshness.show(
            Shows(event=Gone, tags=lambda body: (f"sku:{msgspec.json.decode(body, type=_Sku).sku}", "list"))
        )
        self.slow = SlowBus()
        self.bus = self.freshness.bus(self.slow)
        self.publishing: list[asyncio.Task[None]] = []
        self.is_indexed = asyncio.Event()
        self.is_indexed.set()
        self.freshness.follow(self._indexed)
        self.failing = False
        effects = Effects(seen_at_once=("sell",), tells={"count": lambda arguments: (f"counted {arguments['key']}",)})
        self.shelf: Shelf = self.freshness.client(Shelf, self, effects)

    async def _indexed(self) -> None:
        await self.is_indexed.wait()

    def commit(self, *envelopes: Envelope) -> None:
        self.freshness.committed(envelopes)
        self.publishing.append(asyncio.create_task(self.bus.publish(envelopes)))

    async def sell(self, *, key: Key, sku: str) -> int:
        if sku != "PLENTY":
            self.commit(envelope(1, Sold(sku=sku)))
        return 7

    async def count(self, *, key: Key) -> None:
        if self.failing:
            raise ConnectionError

    async def left(self) -> int:
        return 3


@pytest.fixture
async def world() -> World:
    return World()


async def turns(number: int = 20) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_a_sale_that_changes_nothing_in_public_waits_for_nobody(world: World):
    assert await world.shelf.sell(key="1", sku="PLENTY") == 7


async def test_a_sale_returns_when_all_have_heard_of_it_and_of_what_follows(world: World):
    second = asyncio.Event()

    def follow() -> None:
        if len(world.publishing) == 1:
            world.slow.gate = second
            world.commit(envelope(2, Gone(sku="A")))

    world.slow.following = follow
    selling = asyncio.create_task(world.shelf.sell(key="1", sku="A"))
    await turns()
    assert not selling.done()

    world.slow.gate.set()
    await turns()
    assert not selling.done(), "what follows from it is under way"
    assert world.told == [("sku:A", "list")], "the commit itself has told"

    second.set()
    assert await selling == 7


async def test_a_sale_waits_for_an_index_that_goes_on_after_the_event(world: World):
    world.is_indexed.clear()
    world.slow.gate.set()
    selling = asyncio.create_task(world.shelf.sell(key="1", sku="A"))
    await turns()
    assert not selling.done()

    world.is_indexed.set()

    assert await selling == 7


async def test_nobody_waits_for_ever(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "LONGEST_WAIT_S", 0.01)

    assert await world.shelf.sell(key="1", sku="A") == 7


async def test_what_was_under_way_before_is_nobodys_business(world: World):
    world.commit(envelope(5, Gone(sku="B")))

    assert await world.shelf.sell(key="1", sku="PLENTY") == 7


async def test_of_very_many_events_nobody_waits_for_the_last(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_UNDER_WAY", 10)
    world.freshness.committed([envelope(number, Gone(sku=str(number))) for number in range(50)])

    assert len(world.freshness._under_way) == 10
    assert len(world.told) == 1
    assert len(world.told[0]) == 51


async def test_a_command_tells_what_it_may_have_changed_even_if_it_failed(world: World):
    await world.shelf.count(key="1")
    world.failing = True
    with pytest.raises(ConnectionError):
        await world.shelf.count(key="2")

    assert world.told == [("counted 1",), ("counted 2",)]
    assert await world.shelf.left() == 3


async def test_what_a_consumer_has_digested_is_told_after_its_commit(world: World):
    class Hearer:
        async def deliver(self, batch: Sequence[Envelope]) -> None:
            world.told.append(("committed",))

        async def park(self, envelope: Envelope, *, error: str, attempts: int) -> None: ...

    await world.freshness.subscriber(Hearer(), ("home",)).deliver([])

    assert world.told == [("committed",), ("home",)]
