"""What became of an event is told from its commit to each of its effects, and what is missing is named."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hansa.cli.messages import told
from hansa.kernel.event import Envelope, Event
from hansa.kernel.ids import Ids
from hansa.platform.database.platform_tables import service_metadata
from hansa.platform.database.port import Database, Transaction
from hansa.platform.messaging.port import Consumer, Listener, Permanent, Received, Subscriber
from hansa.platform.outbox.dead_letter_office import DeadLetterOffice
from hansa.platform.outbox.inbox import Inbox
from hansa.platform.outbox.relay import Relay
from hansa.platform.outbox.tracing import NoSuchEvent, Tracer, Traces
from hansa.platform.rpc.local import twice
from tests import databases
from tests.clocks import ManualClock

METADATA = service_metadata()
NAMES = ("mails", "orders", "stock")


class Placed(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "orders.placed.v1"
    number: int


class Sent(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "orders.sent.v1"
    number: int


class Broker:
    """Takes events, and delivers them when it is told to."""

    def __init__(self, *, has_broker: bool, clock: ManualClock) -> None:
        self.has_broker = has_broker
        self.is_down = False
        self.held: list[Envelope] = []
        self._clock = clock

    def subscribe(self, *, consumer: str, type: str, subscriber: Subscriber) -> None: ...

    def listen(self, *, type: str, listener: Listener) -> None: ...

    async def start(self) -> None: ...

    async def publish(self, batch: Sequence[Envelope]) -> None:
        if self.is_down:
            raise ConnectionError("the broker is down")
        self._clock.advance(0.007)
        self.held += batch

    async def close(self) -> None: ...


class House:
    """Orders speak; mails and stock hear, stock only of even numbers."""

    def __init__(self, opened: dict[str, Database], clock: ManualClock, ids: Ids, *, has_broker: bool) -> None:
        self.clock = clock
        self.ids = ids
        self.databases = opened
        self.broker = Broker(has_broker=has_broker, clock=clock)
        self.relay = Relay(database=opened["orders"], bus=self.broker, clock=clock)
        self.error: Exception | None = None
        consumers = {
            ("mails", "mails.confirm"): Consumer(name="mails.confirm", hears=Placed, handle=self._handle),
            ("stock", "stock.sell"): Consumer(
                name="stock.sell", hears=Placed, handle=self._handle, concerns=lambda event: event.number % 2 == 0
            ),
        }
        self.inboxes = {
            name: Inbox(database=opened[name[0]], consumer=consumer, clock=clock)
            for name, consumer in consumers.items()
        }
        tracer = Tracer(
            databases=opened,
            consumers=consumers,
            emits={"orders": (Placed.type, Sent.type)},
            has_broker=has_broker,
            clock=clock,
        )
        self.traces: Traces = twice(Traces, tracer)
        self.office = DeadLetterOffice(databases=opened, inboxes=self.inboxes, clock=clock, ids=ids)

    async def _handle(self, tx: Transaction, batch: Sequence[Received[Any]]) -> None:
        if self.error is not None:
            raise self.error

    async def place(self, number: int = 2, event: type[Event] = Placed) -> str:
        """The id of a new event."""
        async with self.databases["orders"].write(7) as tx:
            tx.emit(event(number=number), slot=7, aggregate="17", correlation="abc")
            [envelope] = tx.events
        return envelope.id

    async def publish(self) -> None:
        await self.relay.drain()

    async def deliver(self, *consumers: str) -> None:
        for (_, name), inbox in self.inboxes.items():
            if name in consumers:
                self.clock.advance(0.02)
                await inbox.deliver([event for event in self.broker.held if event.type == Placed.type])

    async def said(self, event_id: str) -> str:
        return "\n".join(told(await self.traces.trace(event_id=event_id)))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=databases.ENGINES)
async def opened(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[dict[str, Database]]:
    dsn = request.getfixturevalue("postgres_dsn") if request.param == databases.POSTGRES else None
    async with AsyncExitStack() as stack:
        found = {}
        for name in NAMES:
            database = databases.opened(
                engine=request.param,
                name=name,
                metadata=METADATA,
                folder=tmp_path,
                dsn=dsn,
                clock=clock,
                ids=Ids(clock=clock),
            )
            found[name] = await stack.enter_async_context(database)
        yield found


@pytest.fixture
def house(opened: dict[str, Database], clock: ManualClock) -> House:
    return House(opened, clock, Ids(clock=clock), has_broker=True)


@pytest.fixture
def alone(opened: dict[str, Database], clock: ManualClock) -> House:
    """Without a broker."""
    return House(opened, clock, Ids(clock=clock), has_broker=False)


async def test_an_event_is_followed_from_its_commit_to_each_effect(house: House) -> None:
    event_id = await house.place()
    committed = house.clock.now()
    await house.publish()
    await house.deliver("mails.confirm", "stock.sell")

    trace = await house.traces.trace(event_id=event_id)

    assert (trace.type, trace.source, trace.slot) == (Placed.type, "orders", 7)
    assert trace.committed_at == committed
    assert (trace.publication, trace.published_at) == ("confirmed", committed + timedelta(milliseconds=7))
    assert [(step.consumer, step.state, step.at) for step in trace.steps] == [
        ("mails.confirm", "handled", committed + timedelta(milliseconds=27)),
        ("stock.sell", "handled", committed + timedelta(milliseconds=47)),
    ]
    assert trace.is_complete
    assert (await house.said(event_id)).splitlines() == [
        f"orders.placed.v1 {event_id}",
        "2026-01-01 00:00:00.000Z      +0 ms  committed by orders",
        "2026-01-01 00:00:00.007Z      +7 ms  confirmed by the broker",
        "2026-01-01 00:00:00.027Z     +27 ms  handled by mails.confirm",
        "2026-01-01 00:00:00.047Z     +47 ms  handled by stock.sell",
    ]


async def test_what_is_not_published_yet_is_told_with_all_who_wait_for_it(house: House) -> None:
    house.broker.is_down = True
    event_id = await house.place()
    await house.publish()

    trace = await house.traces.trace(event_id=event_id)

    assert (trace.publication, trace.published_at) == ("unsent", None)
    assert (trace.aggregate, trace.correlation) == ("17", "abc")
    assert [(step.consumer, step.state) for step in trace.steps] == [
        ("mails.confirm", "waiting"),
        ("stock.sell", "waiting"),
    ]
    assert not trace.is_complete
    assert "not published yet: it lies in the outbox" in await house.said(event_id)


async def test_what_is_not_handled_yet_is_named(house: House) -> None:
    event_id = await house.place()
    await house.publish()
    await house.deliver("stock.sell")

    trace = await house.traces.trace(event_id=event_id)

    assert [(step.consumer, step.state) for step in trace.steps] == [
        ("stock.sell", "handled"),
        ("mails.confirm", "waiting"),
    ]
    assert not trace.is_complete
    assert "not handled yet by mails.confirm" in await house.said(event_id)


async def test_an_event_that_may_not_concern_a_consumer_is_not_said_to_be_late(house: House) -> None:
    event_id = await house.place(number=3)
    await house.publish()
    await house.deliver("mails.confirm", "stock.sell")

    trace = await house.traces.trace(event_id=event_id)

    assert [(step.consumer, step.state) for step in trace.steps] == [
        ("mails.confirm", "handled"),
        ("stock.sell", "quiet"),
    ]
    assert trace.is_complete


async def test_as_long_as_nobody_has_handled_it_only_the_source_knows_what_it_may_be(house: House) -> None:
    event_id = await house.place()
    await house.publish()

    trace = await house.traces.trace(event_id=event_id)

    assert (trace.type, trace.source, trace.may_be) == ("", "orders", (Placed.type, Sent.type))
    assert "it may be orders.placed.v1, orders.sent.v1" in await house.said(event_id)


async def test_what_was_parked_is_told_with_its_error_and_then_with_what_staff_did(house: House) -> None:
    event_id = await house.place()
    await house.publish()
    await house.deliver("stock.sell")
    inbox = house.inboxes["mails", "mails.confirm"]
    house.clock.advance(1)
    await inbox.park(house.broker.held[0], error="Permanent: no mail for ada@example.com", attempts=8)

    parked = await house.traces.trace(event_id=event_id)
    said = await house.said(event_id)
    await house.office.replay(key="1", service="mails", consumer="mails.confirm", event_id=event_id, actor="user:1")
    replayed = await house.traces.trace(event_id=event_id)

    assert [(step.consumer, step.state, step.attempts) for step in parked.steps] == [
        ("stock.sell", "handled", 0),
        ("mails.confirm", "parked", 8),
    ]
    assert not parked.is_complete
    assert "PARKED by mails.confirm after 8 attempts: Permanent: no mail for [masked]" in said
    assert {(step.consumer, step.state, step.actor) for step in replayed.steps} == {
        ("stock.sell", "handled", ""),
        ("mails.confirm", "handled", ""),
        ("mails.confirm", "replayed", "user:1"),
    }
    assert replayed.is_complete


async def test_what_was_discarded_is_told(house: House) -> None:
    event_id = await house.place()
    await house.publish()
    await house.inboxes["mails", "mails.confirm"].park(house.broker.held[0], error="Permanent: x", attempts=1)
    named = {"service": "mails", "consumer": "mails.confirm", "event_id": event_id}
    await house.office.discard(key="1", actor="user:1", **named)

    trace = await house.traces.trace(event_id=event_id)

    assert [(step.consumer, step.state) for step in trace.steps] == [
        ("mails.confirm", "discarded"),
        ("stock.sell", "quiet"),
    ]
    assert "discarded for mails.confirm by user:1" in await house.said(event_id)


async def test_a_failed_replay_does_not_end_the_trace(house: House) -> None:
    event_id = await house.place()
    await house.publish()
    house.error = Permanent("still broken")
    await house.inboxes["mails", "mails.confirm"].park(house.broker.held[0], error="Permanent: x", attempts=1)
    await house.office.replay(key="1", service="mails", consumer="mails.confirm", event_id=event_id, actor="user:1")

    [step] = [step for step in (await house.traces.trace(event_id=event_id)).steps if step.consumer == "mails.confirm"]

    assert (step.state, step.attempts, step.error) == ("parked", 2, "Permanent: still broken")


async def test_without_a_broker_an_event_that_has_left_the_outbox_was_delivered(alone: House) -> None:
    event_id = await alone.place()
    await alone.publish()
    await alone.deliver("mails.confirm")

    trace = await alone.traces.trace(event_id=event_id)

    assert (trace.publication, trace.published_at, trace.type) == ("delivered", None, Placed.type)
    assert [(step.consumer, step.state) for step in trace.steps] == [
        ("mails.confirm", "handled"),
        ("stock.sell", "quiet"),
    ]
    assert trace.is_complete
    assert "delivered within the process" in await alone.said(event_id)


async def test_an_event_that_nobody_hears_is_told_as_long_as_its_source_notes_it(house: House) -> None:
    event_id = await house.place(event=Sent)
    unsent = await house.said(event_id)
    await house.publish()

    assert "nobody hears such events" in unsent
    assert (await house.traces.trace(event_id=event_id)).publication == "confirmed"


@pytest.mark.parametrize("event_id", ["1", "9223372036854775807"])
async def test_nothing_is_told_of_an_event_that_nobody_has_noted(house: House, event_id: str) -> None:
    await house.place()

    with pytest.raises(NoSuchEvent) as refused:
        await house.traces.trace(event_id=event_id)
    assert refused.value.event_id == event_id


async def test_events_of_one_moment_are_told_apart(house: House) -> None:
    first, second = await house.place(2), await house.place(4)
    await house.publish()
    await house.inboxes["stock", "stock.sell"].deliver([house.broker.held[0]])

    states = [[step.state for step in (await house.traces.trace(event_id=each)).steps] for each in (first, second)]

    assert states == [["handled", "waiting"], []]
