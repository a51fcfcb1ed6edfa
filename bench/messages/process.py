"""`python -m bench.messages.process TASK`: tells numbers, hears them, or does both with the broker's bare client.

A task is one JSON object. What was measured is printed as another one.
"""

import asyncio
import random
import sys
import time
from pathlib import Path

import msgspec
import uvloop

from bench.messages import bare
from bench.messages.world import WRITTEN, Hearing, opened, tell
from hansa.adapters import bus_of
from hansa.kernel.clock import SystemClock
from hansa.platform.messaging.port import Bus
from hansa.platform.outbox.inbox import Inbox
from hansa.platform.outbox.relay import Relay
from hansa.platform.telemetry import logs
from hansa.settings import Settings

LOOK_S = 0.01


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """`count` events in commits of `batch` with `pause_s` between two commits."""

    role: str
    broker: str
    bus: str
    folder: str
    count: int
    batch: int = 256
    pause_s: float = 0.0


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """When the first and the last was done, in seconds since 1970, the CPU of this process for it, and how long events
    took from commit to effect."""

    began_s: float
    ended_s: float
    cpu_s: float
    took_ms: list[float] = []


async def tell_all(task: Task) -> Measured:
    database = await opened(Path(task.folder), "teller")
    bus = _bus(task)
    hearing = Hearing()
    inbox = Inbox(database=database, consumer=hearing.consumer(), clock=SystemClock())
    bus.subscribe(consumer=hearing.consumer().name, type=hearing.consumer().hears.type, subscriber=inbox)
    relay = Relay(database=database, bus=bus, clock=SystemClock())
    relay.start()
    cpu, began = time.process_time(), time.time()
    for first in range(0, task.count, task.batch):
        await tell(database, range(first, min(first + task.batch, task.count)))
        await asyncio.sleep(task.pause_s)
    await relay.drain()
    measured = Measured(began_s=began, ended_s=time.time(), cpu_s=time.process_time() - cpu)
    await relay.close()
    await bus.close()
    await database.close()
    return measured


async def hear_all(task: Task) -> Measured:
    database = await opened(Path(task.folder), "hearer")
    bus = _bus(task)
    hearing = Hearing()
    consumer = hearing.consumer()
    inbox = Inbox(database=database, consumer=consumer, clock=SystemClock())
    bus.subscribe(consumer=consumer.name, type=consumer.hears.type, subscriber=inbox)
    await bus.start()
    print("ready", flush=True)
    while not hearing.took_ms:
        await asyncio.sleep(LOOK_S)
    cpu, began = time.process_time(), time.time()
    while len(hearing.took_ms) < task.count:
        await asyncio.sleep(LOOK_S)
    measured = Measured(
        began_s=began, ended_s=time.time(), cpu_s=time.process_time() - cpu, took_ms=sorted(hearing.took_ms)
    )
    await bus.close()
    written = await database.all(WRITTEN)
    await database.close()
    if written[0][0] != task.count:
        raise RuntimeError(f"{written[0][0]} effects of {task.count} events")
    return measured


async def both_bare(task: Task) -> Measured:
    cpu, began = time.process_time(), time.time()
    await bare.CLIENTS[task.broker](task.bus, task.count, task.batch)
    return Measured(began_s=began, ended_s=time.time(), cpu_s=time.process_time() - cpu)


def _bus(task: Task) -> Bus:
    return bus_of(Settings(bus=task.bus), SystemClock(), random.Random())


ROLES = {"tell": tell_all, "hear": hear_all, "bare": both_bare}

if __name__ == "__main__":
    logs.configure(level="WARNING", as_json=True)
    given = msgspec.json.decode(sys.argv[1], type=Task)
    print(msgspec.json.encode(uvloop.run(ROLES[given.role](given))).decode(), flush=True)
