"""From commit to effect: every committed event takes effect exactly once, whatever the bus or the consumer does."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.schema import Table

from hansa.kernel.clock import SystemClock
from hansa.kernel.event import Envelope, Event
from hansa.kernel.ids import Ids
from hansa.platform.database.platform_tables import INBOX, OUTBOX_AGE, service_metadata
from hansa.platform.database.port import Database, Transaction
from hansa.platform.database.statement import Statement
from hansa.platform.database.tables import COUNT, field, key, slot
from hansa.platform.messaging.local import LocalBus, Mischief, Retries
from hansa.platform.messaging.port import Consumer, Permanent, Received
from hansa.platform.outbox import relay as relay_module
from hansa.platform.outbox.inbox import Inbox
from hansa.platform.outbox.relay import Relay
from tests import databases
from tests.platform.dead_letters import parked

METADATA = service_metadata()
SEEN = Table("seen", METADATA, slot(), key("number", COUNT), field("times", COUNT))
ADD = Statement(
    insert(SEEN)
    .values(slot=0, number=bindparam("number"), times=1)
    .on_conflict_do_update(index_elements=["slot", "number"], set_={"times": SEEN.c.times + 1})
)
ALL = Statement(select(SEEN.c.number, SEEN.c.times).order_by(SEEN.c.number))
NOTED = Statement(select(INBOX.c.consumer))
QUICK = Retries(attempts=3, first_s=0.001, longest_s=0.002)


class Counted(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "test.counted.v1"
    number: int


@pytest.fixture(params=["sqlite", "postgres"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    dsn = request.getfixturevalue("postgres_dsn") if request.param == "postgres" else None
    clock = SystemClock()
    async with databases.opened(
        engine=request.param,
        name="counter",
        metadata=METADATA,
        folder=tmp_path,
        dsn=dsn,
        clock=clock,
        ids=Ids(clock=clock),
    ) as opened:
        yield opened


class Counter:
    """A consumer whose effect is to count, and which can be told to fail."""

    def __init__(self, database: Database, bus: LocalBus, name: str = "counter.counted") -> None:
        self.failures = 0
        self.poison: set[int] = set()
        consumer = Consumer(name=name, hears=Counted, handle=self.handle)
        inbox = Inbox(database=database, consumer=consumer, clock=SystemClock())
        bus.subscribe(consumer=name, type=Counted.type, subscriber=inbox)

    async def handle(self, tx: Transaction, batch: Sequence[Received[Counted]]) -> None:
        for received in batch:
            await tx.run(ADD, number=received.event.number)
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the consumer stumbles after its effect, before its commit")
        if any(received.event.number in self.poison for received in batch):
            raise Permanent("cannot be digested")


def bus_with(mischief: Mischief | None = None) -> LocalBus:
    return LocalBus(clock=SystemClock(), chance=random.Random(7), retries=QUICK, mischief=mischief)


async def emit(database: Database, numbers: range, start: int = 0) -> None:
    for number in numbers:
        async with database.write(0) as tx:
            tx.emit(Counted(number=number), slot=0, aggregate=str(number + 1))


async def counts(database: Database) -> dict[int, int]:
    return {row[0]: row[1] for row in await database.all(ALL)}


async def unsent(database: Database) -> int:
    row = await database.one(OUTBOX_AGE)
    assert row is not None
    return int(row[0])


async def test_each_event_takes_effect_once_though_the_bus_doubles_reorders_and_splits(database: Database) -> None:
    bus = bus_with(Mischief(duplicate=0.7, reorder=0.7, split=0.7))
    Counter(database, bus)
    relay = Relay(database=database, bus=bus, clock=SystemClock())
    await emit(database, range(60))
    await relay.drain()
    assert await counts(database) == dict.fromkeys(range(60), 1)
    assert await unsent(database) == 0


async def test_two_relays_at_once_do_no_harm(database: Database) -> None:
    bus = bus_with()
    Counter(database, bus)
    await emit(database, range(40))
    relays = [Relay(database=database, bus=bus, clock=SystemClock()) for _ in range(2)]
    await asyncio.gather(*(relay.drain() for relay in relays))
    assert await counts(database) == dict.fromkeys(range(40), 1)


async def test_a_consumer_that_stumbles_is_offered_the_event_again(database: Database) -> None:
    bus = bus_with()
    counter = Counter(database, bus)
    counter.failures = 2
    await emit(database, range(1))
    await Relay(database=database, bus=bus, clock=SystemClock()).drain()
    assert await counts(database) == {0: 1}


async def test_a_poison_event_is_parked_and_its_neighbours_are_not_hurt(database: Database) -> None:
    bus = bus_with()
    counter = Counter(database, bus)
    counter.poison = {3}
    await emit(database, range(6))
    await Relay(database=database, bus=bus, clock=SystemClock()).drain()
    assert await counts(database) == dict.fromkeys([0, 1, 2, 4, 5], 1)
    dead = await parked(database)
    assert [(row["consumer"], row["attempts"]) for row in dead] == [("counter.counted", 1)]
    assert "cannot be digested" in dead[0]["error"]
    assert await unsent(database) == 0


async def test_an_event_is_parked_after_the_last_attempt(database: Database) -> None:
    bus = bus_with()
    counter = Counter(database, bus)
    counter.failures = 100
    await emit(database, range(1))
    await Relay(database=database, bus=bus, clock=SystemClock()).drain()
    assert await counts(database) == {}
    assert [row["attempts"] for row in await parked(database)] == [QUICK.attempts]


async def test_one_consumers_trouble_is_not_anothers(database: Database) -> None:
    bus = bus_with()
    broken = Counter(database, bus, name="broken")
    broken.failures = 100
    Counter(database, bus, name="sound")
    await emit(database, range(5))
    await Relay(database=database, bus=bus, clock=SystemClock()).drain()
    assert await counts(database) == dict.fromkeys(range(5), 1)
    assert {row["consumer"] for row in await parked(database)} == {"broken"}


async def test_a_publication_that_failed_is_made_again(database: Database) -> None:
    bus = bus_with()
    Counter(database, bus)
    await emit(database, range(3))

    class Refusing(LocalBus):
        async def publish(self, batch: Sequence[Envelope]) -> None:
            raise ConnectionError("no broker")

    refusing = Refusing(clock=SystemClock(), chance=random.Random(1))
    relay = Relay(database=database, bus=refusing, clock=SystemClock())
    assert await relay.look() == 3
    await asyncio.sleep(0.01)
    assert await unsent(database) == 3
    await Relay(database=database, bus=bus, clock=SystemClock()).drain()
    assert await counts(database) == dict.fromkeys(range(3), 1)


async def test_a_running_relay_hears_of_a_commit_at_once(database: Database) -> None:
    bus = bus_with()
    Counter(database, bus)
    relay = Relay(database=database, bus=bus, clock=SystemClock())
    relay.start()
    await asyncio.sleep(0.05)
    await emit(database, range(1))
    async with asyncio.timeout(0.9):
        while await unsent(database):
            await asyncio.sleep(0.005)
    await relay.close()
    assert await counts(database) == {0: 1}


async def test_an_unreadable_body_is_parked_at_once(database: Database) -> None:
    class Counted2(Event, frozen=True, kw_only=True):
        type: ClassVar[str] = "test.counted.v1"
        word: str

    bus = bus_with()
    Counter(database, bus)
    async with database.write(0) as tx:
        tx.emit(Counted2(word="not a number"), slot=0, aggregate="1")
    await Relay(database=database, bus=bus, clock=SystemClock()).drain()
    assert [row["attempts"] for row in await parked(database)] == [1]


async def test_an_event_of_no_concern_is_neither_handled_nor_noted(database: Database) -> None:
    bus = bus_with()
    counter = Counter(database, bus, name="every")
    even = Consumer(name="even", hears=Counted, handle=counter.handle, concerns=lambda event: event.number % 2 == 0)
    bus.subscribe(
        consumer="even",
        type=Counted.type,
        subscriber=Inbox(database=database, consumer=even, clock=SystemClock()),
    )
    await emit(database, range(5))
    await Relay(database=database, bus=bus, clock=SystemClock()).drain()

    assert await counts(database) == {0: 2, 1: 1, 2: 2, 3: 1, 4: 2}
    noted = [row["consumer"] for row in await database.all(NOTED)]
    assert (noted.count("every"), noted.count("even")) == (5, 3)
    assert await unsent(database) == 0


class Watched(LocalBus):
    """Notes how many events travel together, and lets them through when it is told to."""

    def __init__(self) -> None:
        super().__init__(clock=SystemClock(), chance=random.Random(7), retries=QUICK)
        self.batches: list[int] = []
        self.gate = asyncio.Event()

    async def publish(self, batch: Sequence[Envelope]) -> None:
        self.batches.append(len(batch))
        await self.gate.wait()
        await super().publish(batch)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_while_one_publication_is_under_way_the_next_gathers(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "PATIENCE_S", 10.0)
    bus = Watched()
    Counter(database, bus)
    relay = Relay(database=database, bus=bus, clock=SystemClock())
    relay.start()
    await emit(database, range(1))
    await until(lambda: bus.batches)
    await emit(database, range(1, 6))
    bus.gate.set()
    await until(lambda: len(bus.batches) == 2)
    await relay.drain()
    await relay.close()

    assert bus.batches == [1, 5]
    assert await counts(database) == dict.fromkeys(range(6), 1)


async def test_what_there_is_no_room_for_is_looked_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "WINDOW", 4)
    bus = Watched()
    Counter(database, bus)
    relay = Relay(database=database, bus=bus, clock=SystemClock())
    await emit(database, range(9))
    bus.gate.set()
    await relay.drain()

    assert bus.batches == [4, 4, 1]
    assert await counts(database) == dict.fromkeys(range(9), 1)
    assert await unsent(database) == 0


async def test_a_relay_publishes_what_it_was_never_told(database: Database) -> None:
    bus = bus_with()
    Counter(database, bus)
    await emit(database, range(3))
    relay = Relay(database=database, bus=bus, clock=SystemClock())
    relay.start()
    await emit(database, range(3, 5))
    async with asyncio.timeout(10):
        while await unsent(database):
            await asyncio.sleep(0.005)
    await relay.close()

    assert await counts(database) == dict.fromkeys(range(5), 1)


async def test_a_publication_that_takes_long_does_not_hold_up_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "PATIENCE_S", 0.001)
    bus = Watched()
    Counter(database, bus)
    relay = Relay(database=database, bus=bus, clock=SystemClock())
    relay.start()
    await emit(database, range(1))
    await until(lambda: bus.batches)
    await emit(database, range(1, 2))
    await until(lambda: len(bus.batches) == 2)
    bus.gate.set()
    await relay.drain()
    await relay.close()

    assert await counts(database) == {0: 1, 1: 1}
