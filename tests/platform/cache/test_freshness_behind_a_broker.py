"""Behind a broker, to have published is not to have delivered, and other processes change what is shown here."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar

import msgspec
import pytest

from hansa.kernel.event import Envelope, Event
from hansa.platform.cache.changes import Changes
from hansa.platform.cache.freshness import Freshness, Shows, Told
from hansa.platform.messaging.port import Listener, Subscriber


class Sold(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "test.sold.v1"


class Hidden(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "test.hidden.v1"


def envelope(number: int, type_: str = Sold.type) -> Envelope:
    return Envelope(
        id=str(number), type=type_, source="test", time=datetime(2026, 1, 1, tzinfo=UTC), slot=0, aggregate="1"
    )


class Broker:
    """Takes what is published, and delivers when it is told to."""

    has_broker = True

    def __init__(self) -> None:
        self.subscribers: dict[str, Subscriber] = {}
        self.listeners: dict[str, Listener] = {}
        self.is_down = False

    def subscribe(self, *, consumer: str, type: str, subscriber: Subscriber) -> None:
        self.subscribers[consumer] = subscriber

    def listen(self, *, type: str, listener: Listener) -> None:
        self.listeners[type] = listener

    async def start(self) -> None: ...

    async def publish(self, batch: Sequence[Envelope]) -> None:
        if self.is_down:
            raise ConnectionError

    async def close(self) -> None: ...


class Digesting:
    """A consumer that never fails."""

    async def deliver(self, batch: Sequence[Envelope]) -> None: ...

    async def park(self, envelope: Envelope, *, error: str, attempts: int) -> None: ...


class World:
    """A process with two consumers of what was sold."""

    def __init__(self) -> None:
        self.changes = Changes()
        self.told: list[tuple[str, ...]] = []
        self.changes.listen(self.told.append)
        self.freshness = Freshness(changes=self.changes)
        self.freshness.show(Shows(event=Sold, tags=lambda body: ("list",)))
        self.broker = Broker()
        self.bus: Told = self.freshness.bus(self.broker)
        for consumer in ("home.sold", "search.sold"):
            self.bus.subscribe(consumer=consumer, type=Sold.type, subscriber=Digesting())
        self.bus.subscribe(consumer="home.hidden", type=Hidden.type, subscriber=Digesting())

    async def commit(self, *envelopes: Envelope) -> None:
        self.freshness.committed(envelopes)
        await self.bus.publish(envelopes)

    async def handle(self, consumer: str, *envelopes: Envelope) -> None:
        await self.broker.subscribers[consumer].deliver(envelopes)

    @property
    def under_way(self) -> list[str]:
        return list(self.freshness._under_way)


@pytest.fixture
def world() -> World:
    return World()


async def test_an_event_is_under_way_until_every_consumer_of_this_process_has_handled_it(world: World):
    await world.commit(envelope(1), envelope(2))
    assert world.under_way == ["1", "2"]

    await world.handle("home.sold", envelope(1), envelope(2))
    await world.handle("home.sold", envelope(2))
    assert world.under_way == ["1", "2"]
    await world.handle("search.sold", envelope(2))

    assert world.under_way == ["1"]


async def test_a_parked_event_is_waited_for_no_longer(world: World):
    await world.commit(envelope(1))

    for consumer in ("home.sold", "search.sold"):
        await world.broker.subscribers[consumer].park(envelope(1), error="no", attempts=1)

    assert world.under_way == []


async def test_what_nobody_here_consumes_is_not_waited_for():
    world = World()
    world.freshness.show(Shows(event=Hidden))
    world.bus = world.freshness.bus(world.broker)

    await world.commit(envelope(1, Hidden.type))

    assert world.under_way == []


async def test_a_publication_that_fails_is_made_again_and_counted_from_the_beginning(world: World):
    world.broker.is_down = True
    with pytest.raises(ConnectionError):
        await world.commit(envelope(1))
    world.broker.is_down = False

    await world.bus.publish([envelope(1)])
    await world.handle("home.sold", envelope(1))
    assert world.under_way == ["1"]
    await world.handle("search.sold", envelope(1))

    assert world.under_way == []


async def test_what_another_process_commits_is_told_here(world: World):
    world.broker.listeners[Sold.type].hear([envelope(1), envelope(2)])

    assert world.told == [("list",)]
    assert world.under_way == []


async def test_after_a_lost_connection_nothing_that_was_kept_holds(world: World):
    before = world.changes.number

    world.broker.listeners[Sold.type].missed()

    assert world.changes.is_changed(("list", "whatever"), since=before)
    assert not world.changes.is_changed(("list",), since=world.changes.number)


async def test_only_what_is_shown_is_listened_to(world: World):
    assert list(world.broker.listeners) == [Sold.type]


async def test_a_body_says_what_it_changes(world: World):
    world.freshness.show(Shows(event=Sold, tags=lambda body: (f"sku:{msgspec.json.decode(body)['sku']}",)))
    sold = msgspec.structs.replace(envelope(1), body=msgspec.Raw(b'{"sku":"A"}'))

    world.freshness.hear([sold])

    assert world.told == [("sku:A",)]
