"""A relay in front of a broker: order through an outage, growing pauses, partial confirmations, and leased ranges."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import ClassVar

import pytest
from sqlalchemy import select

from hansa.kernel.event import LARGEST_BODY, Envelope, Event
from hansa.kernel.ids import Ids
from hansa.platform.database.platform_tables import OUTBOX, PUBLISHED, service_metadata
from hansa.platform.database.port import Database
from hansa.platform.database.statement import Statement
from hansa.platform.messaging.port import Listener, NotPublished, Subscriber
from hansa.platform.outbox.relay import BATCH, FRESH_S, LONGEST_PAUSE_S, LOOK_EVERY_S, Relay
from hansa.platform.telemetry.logs import correlated
from hansa.platform.telemetry.tracing import traced
from tests import databases
from tests.clocks import ManualClock

METADATA = service_metadata()
UNSENT = Statement(select(OUTBOX.c.event_id).order_by(OUTBOX.c.event_id))
CONFIRMED = Statement(select(PUBLISHED.c.event_id).order_by(PUBLISHED.c.event_id))
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Counted(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "counter.number_counted.v1"
    number: int
    filling: str = ""


class Broker:
    """Confirms, or does not."""

    has_broker = True

    def __init__(self) -> None:
        self.is_down = False
        self.refused: set[int] = set()
        self.attempts = 0
        self.got: list[int] = []

    def subscribe(self, *, consumer: str, type: str, subscriber: Subscriber) -> None: ...

    def listen(self, *, type: str, listener: Listener) -> None: ...

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def publish(self, batch: Sequence[Envelope]) -> None:
        self.attempts += 1
        await asyncio.sleep(0)
        if self.is_down:
            raise ConnectionError("no broker")
        left = [envelope for envelope in batch if envelope.version in self.refused]
        self.got += [envelope.version for envelope in batch if envelope.version not in self.refused]
        if left:
            raise NotPublished(left, "the queue is full")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


Opening = Callable[[], AbstractAsyncContextManager[Database]]


@pytest.fixture(params=["sqlite", "postgres"])
def opening(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Opening:
    """The same database, opened by one process or another."""
    dsn = request.getfixturevalue("postgres_dsn") if request.param == "postgres" else None
    ids = Ids(clock=clock)
    return lambda: databases.opened(
        engine=request.param, name="counter", metadata=METADATA, folder=tmp_path, dsn=dsn, clock=clock, ids=ids
    )


@pytest.fixture
async def database(opening: Opening) -> AsyncIterator[Database]:
    async with opening() as opened:
        yield opened


@pytest.fixture
async def elsewhere(database: Database, opening: Opening) -> AsyncIterator[Database]:
    """As another process has it."""
    async with opening() as opened:
        yield opened


async def emit(database: Database, *numbers: int, slot: int = 0) -> None:
    for number in numbers:
        async with database.write(slot) as tx:
            tx.emit(Counted(number=number), slot=slot, aggregate="7", version=number)


async def ids_in(database: Database, statement: Statement) -> list[int]:
    return [row[0] for row in await database.all(statement)]


async def passed(clock: ManualClock, seconds: float) -> None:
    """Time that passes while real threads and servers work, too."""
    for _ in range(round(seconds / 0.1)):
        await clock.pass_time(0.1)
        await asyncio.sleep(0.005)


async def test_after_an_outage_what_was_stored_goes_first_and_what_is_new_waits_its_turn(
    database: Database, clock: ManualClock
):
    broker = Broker()
    broker.is_down = True
    relay = Relay(database=database, bus=broker, clock=clock)
    relay.start()
    for number in range(1, 40, 3):
        await emit(database, number, number + 1, number + 2)
        await passed(clock, 0.2)
    assert broker.got == []

    broker.is_down = False
    for number in range(40, 60):
        await emit(database, number)
        await passed(clock, 0.3)
    await passed(clock, LONGEST_PAUSE_S)
    await relay.close()

    assert broker.got == list(range(1, 60))
    assert await ids_in(database, UNSENT) == []


async def test_a_broker_that_refuses_is_asked_less_and_less_often(database: Database, clock: ManualClock):
    broker = Broker()
    broker.is_down = True
    relay = Relay(database=database, bus=broker, clock=clock)
    relay.start()
    await emit(database, 1)

    await passed(clock, 10)
    early = broker.attempts
    await passed(clock, 20)
    await relay.close()

    assert 5 <= early <= 9
    assert broker.attempts - early <= 20 / LONGEST_PAUSE_S + 1


async def test_of_a_batch_that_was_confirmed_in_part_only_the_rest_stays(database: Database, clock: ManualClock):
    broker = Broker()
    broker.refused = {2}
    await emit(database, 1, 2, 3)
    relay = Relay(database=database, bus=broker, clock=clock)

    await relay.drain()

    unsent, confirmed = await ids_in(database, UNSENT), await ids_in(database, CONFIRMED)
    assert (len(unsent), len(confirmed)) == (1, 2)
    assert confirmed[0] < unsent[0] < confirmed[1]
    broker.refused = set()
    await relay.drain()
    assert broker.got == [1, 3, 2]
    assert await ids_in(database, UNSENT) == []


async def test_one_event_that_is_refused_for_ever_holds_nobody_up(database: Database, clock: ManualClock):
    broker = Broker()
    broker.refused = {1}
    relay = Relay(database=database, bus=broker, clock=clock)
    relay.start()

    for number in range(1, 30):
        await emit(database, number)
        await passed(clock, 0.5)
    await passed(clock, LONGEST_PAUSE_S)
    await relay.close()

    assert broker.got == list(range(2, 30))


async def test_many_events_that_are_refused_for_ever_hold_nobody_up(database: Database, clock: ManualClock):
    broker = Broker()
    broker.refused = set(range(1, BATCH + 45))
    await emit(database, *range(1, BATCH + 65))
    relay = Relay(database=database, bus=broker, clock=clock)
    relay.start()

    await passed(clock, 1)
    await relay.close()

    assert sorted(set(broker.got)) == list(range(BATCH + 45, BATCH + 65))


async def test_what_an_earlier_life_has_left_goes_before_what_is_new(
    database: Database, elsewhere: Database, clock: ManualClock
):
    await emit(elsewhere, *range(1, BATCH + 100))
    broker = Broker()
    relay = Relay(database=database, bus=broker, clock=clock, ranges=Held((0, 4095)))
    relay.start()

    await emit(database, BATCH + 100)
    await passed(clock, 1)
    await relay.close()

    assert broker.got == list(range(1, BATCH + 101))


class Held:
    """Ranges that a test hands out."""

    def __init__(self, *held: tuple[int, int]) -> None:
        self.held = held


async def test_relays_on_one_database_look_after_the_slots_they_hold(
    database: Database, elsewhere: Database, clock: ManualClock
):
    brokers = [Broker(), Broker(), Broker()]
    shares = [Held((0, 511)), Held((512, 1023), (3584, 4095)), Held()]
    relays = [
        Relay(database=database, bus=broker, clock=clock, ranges=share)
        for broker, share in zip(brokers, shares, strict=True)
    ]
    for relay in relays:
        relay.start()
    await passed(clock, LOOK_EVERY_S)

    for number, slot in enumerate((0, 511, 512, 4095), start=1):
        await emit(elsewhere, number, slot=slot)
    await passed(clock, FRESH_S + 2 * LOOK_EVERY_S)
    for relay in relays:
        await relay.close()

    assert [broker.got for broker in brokers] == [[1, 2], [3, 4], []]


async def test_what_another_process_has_just_committed_is_left_to_it_for_a_moment(
    database: Database, elsewhere: Database, clock: ManualClock
):
    broker = Broker()
    relay = Relay(database=database, bus=broker, clock=clock, ranges=Held((0, 4095)))
    relay.start()
    await passed(clock, LOOK_EVERY_S)

    await emit(elsewhere, 1)
    await passed(clock, LOOK_EVERY_S)
    assert broker.got == []
    await passed(clock, FRESH_S + LOOK_EVERY_S)
    await relay.close()

    assert broker.got == [1]


async def test_an_event_of_a_clock_that_was_ahead_is_found_all_the_same(
    database: Database, elsewhere: Database, clock: ManualClock
):
    broker = Broker()
    relay = Relay(database=database, bus=broker, clock=clock, ranges=Held((0, 4095)))
    relay.start()
    await passed(clock, LOOK_EVERY_S)
    clock.set_back(-3600)
    await emit(elsewhere, 1)
    clock.set_back(3600)

    await passed(clock, FRESH_S + 2 * LOOK_EVERY_S)
    await relay.close()

    assert broker.got == [1]


async def test_who_is_behind_sends_all_that_is_stored_whoever_looks_after_it(database: Database, clock: ManualClock):
    broker = Broker()
    broker.is_down = True
    relay = Relay(database=database, bus=broker, clock=clock, ranges=Held())
    relay.start()
    await emit(database, 1)
    await passed(clock, 0.3)

    broker.is_down = False
    await emit(database, 2, 3)
    await passed(clock, 2)
    await relay.close()

    assert broker.got == [1, 2, 3]


async def test_an_event_bears_the_request_and_the_trace_that_it_comes_from(database: Database):
    with correlated("request-1"), traced(TRACE):
        async with database.write(0) as tx:
            tx.emit(Counted(number=1), slot=0, aggregate="7")
            told = tx.events[0]

    assert (told.correlation, told.traceparent) == ("request-1", TRACE)


async def test_an_event_that_no_broker_takes_cannot_be_emitted(database: Database):
    with pytest.raises(ValueError, match=Counted.type):
        async with database.write(0) as tx:
            tx.emit(Counted(number=1, filling="x" * LARGEST_BODY), slot=0, aggregate="7")

    assert await ids_in(database, UNSENT) == []
