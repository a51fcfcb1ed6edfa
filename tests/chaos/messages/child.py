"""A producer or a consumer: a process that may be killed at any moment, and goes on when it is started again."""

import asyncio
import random
import sys

import msgspec
import uvloop

from hansa.adapters import bus_of
from hansa.kernel.clock import SystemClock
from hansa.kernel.ids import Ids
from hansa.platform.database.postgres import PostgresDatabase
from hansa.platform.leases.ranges import SlotRanges
from hansa.platform.outbox.inbox import Inbox
from hansa.platform.outbox.relay import Relay
from hansa.platform.telemetry import logs
from hansa.settings import Settings
from tests.chaos.messages import world

CHUNK = 20
SEQUENCES = 64
RENEW_S = 1.0
PAUSE_S = 0.1
"""Between two chunks of orders, so that there is something to break for a while."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is there for. `worker` is its own number; producers make the orders from `first` to before
    `last`."""

    role: str
    worker: int
    dsn: str
    bus: str
    first: int = 0
    last: int = 0
    pause_s: float = PAUSE_S


async def live(task: Task) -> None:
    clock, chance = SystemClock(), random.Random()
    ids = Ids(clock=clock, sequences=range(task.worker * SEQUENCES, (task.worker + 1) * SEQUENCES))
    name = world.PRODUCER if task.role == "producer" else world.CONSUMER
    database = PostgresDatabase(name=name, dsn=task.dsn, clock=clock, ids=ids, pool_size=4)
    await database.open()
    bus = bus_of(Settings(bus=task.bus), clock, chance)
    # A producer knows who hears, as every process of a shop does; it never delivers, for it does not start its bus.
    consumer = world.consumer()
    inbox = Inbox(database=database, consumer=consumer, clock=clock)
    bus.subscribe(consumer=consumer.name, type=consumer.hears.type, subscriber=inbox)
    if task.role == "consumer":
        await bus.start()
        await asyncio.Event().wait()
    ranges = SlotRanges(database=database, name="relay", holder=f"{task.worker}-{chance.random()}", clock=clock)
    relay = Relay(database=database, bus=bus, clock=clock, ranges=ranges)
    relay.start()
    renewing = asyncio.create_task(_renew(ranges))
    await _produce(database, task)
    await renewing


async def _renew(ranges: SlotRanges) -> None:
    while True:
        await ranges.renew()
        await asyncio.sleep(RENEW_S)


async def _produce(database: PostgresDatabase, task: Task) -> None:
    """Go on where an earlier life has ended: its last chunk is made again, for it may be half done."""
    row = await database.one(world.NEXT, first=task.first, last=task.last)
    assert row is not None
    for first in range(max(task.first, row[0] - CHUNK), task.last, CHUNK):
        await world.place(database, range(first, min(first + CHUNK, task.last)))
        await asyncio.sleep(task.pause_s)


if __name__ == "__main__":
    logs.configure(level="WARNING", as_json=True)
    uvloop.run(live(msgspec.json.decode(sys.argv[1], type=Task)))
