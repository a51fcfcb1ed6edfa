"""One run: two producers and two consumers on PostgreSQL, one broker, and everything that can happen to them.

Faults follow from a seed; when all orders are placed they end, everybody is brought up again, and what must hold is
looked for in the tables: each order's two events had their effect exactly once.
"""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from hansa.kernel.clock import SystemClock
from hansa.kernel.ids import Ids
from hansa.platform.database.postgres import PostgresDatabase
from tests import databases
from tests.chaos.messages import world
from tests.chaos.messages.brokers import BROKERS, Broker
from tests.chaos.messages.child import Task
from tests.chaos.processes import WallClock
from tests.chaos.proxy import FAIR, Proxy, Weather
from tests.servers import end_with_parent

PRODUCERS = 2
CONSUMERS = 2
LOOK_S = 0.25
REST_S = 180.0
"""How long it may take until everything has had its effect, once nobody is hindered any more."""
CALM_S = (0.3, 1.5)
"""Between two faults."""
LASTS_S = (0.3, 3.0)
BROKER_STAYS_DOWN_S = (0.0, 3.0)
JUMPS_S = (-240, -45, -7, 0, 7, 45, 240)
"""From the truth."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is asked for. Faults go on until all orders are placed and every kind has come, and for `seconds` at
    least."""

    broker: str
    seed: int
    orders: int = 20_000
    seconds: float = 0.0
    pause_s: float = 0.1


@dataclass(kw_only=True)
class Report:
    """What was done, and what was found."""

    faults: Counter[str] = field(default_factory=Counter)
    fire_s: float = 0.0
    rest_s: float = 0.0
    stale: int = 0
    violations: list[str] = field(default_factory=list)

    def text(self) -> str:
        faults = ", ".join(f"{count} x {what}" for what, count in sorted(self.faults.items()))
        lines = [f"faults: {faults}", f"fire: {self.fire_s:.0f} s, then at rest after {self.rest_s:.0f} s"]
        lines.append(f"older events that came after newer ones of the same order: {self.stale}")
        return "\n".join([*lines, *(self.violations or ["every effect happened exactly once"])])


class Child:
    """A process that is started again whenever it has ended, with a clock that may be wrong."""

    def __init__(self, task: Task, clock: WallClock) -> None:
        self.task = task
        self.clock = clock
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.messages.child", msgspec.json.encode(self.task).decode()],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **self.clock.environment},
                preexec_fn=end_with_parent(signal.SIGKILL),
            )

    def send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None


class Fire:
    """What is done to whom; one thing at a time, so that the report tells what was done."""

    def __init__(self, broker: Broker, proxy: Proxy | None, children: Mapping[str, list[Child]], seed: int) -> None:
        self._broker = broker
        self._proxy = proxy
        self._children = children
        self._chance = random.Random(seed)
        self.done: Counter[str] = Counter()
        self._acts: dict[str, Callable[[], Any]] = {
            "kill -9 of a producer": lambda: self._kill("producer"),
            "kill -9 of a consumer": lambda: self._kill("consumer"),
            "SIGSTOP of a producer": lambda: self._freeze("producer"),
            "SIGSTOP of a consumer": lambda: self._freeze("consumer"),
            "kill -9 of the broker": self._kill_broker,
            "SIGSTOP of the broker": self._freeze_broker,
            "a clock jumps": self._jump,
        }
        if proxy is not None:
            self._acts |= {"all connections cut": self._cut, "black hole before the broker": self._hole}
        self._left: list[str] = []

    @property
    def has_done_everything(self) -> bool:
        return len(self.done) == len(self._acts)

    async def go_on(self) -> None:
        """One fault, and a while of calm. Every kind comes before one comes again."""
        if not self._left:
            self._left = sorted(self._acts)
            self._chance.shuffle(self._left)
        what = self._left.pop()
        await self._acts[what]()
        self.done[what] += 1
        await asyncio.sleep(self._chance.uniform(*CALM_S))

    async def _kill(self, role: str) -> None:
        child = self._chance.choice(self._children[role])
        child.kill()
        await asyncio.sleep(self._chance.uniform(0, 0.5))
        child.start()

    async def _freeze(self, role: str) -> None:
        child = self._chance.choice(self._children[role])
        child.send(signal.SIGSTOP)
        await asyncio.sleep(self._chance.uniform(*LASTS_S))
        child.send(signal.SIGCONT)

    async def _kill_broker(self) -> None:
        self._broker.server.kill()
        await asyncio.sleep(self._chance.uniform(*BROKER_STAYS_DOWN_S))
        self._broker.server.start()

    async def _freeze_broker(self) -> None:
        self._broker.send(signal.SIGSTOP)
        await asyncio.sleep(self._chance.uniform(*LASTS_S))
        self._broker.send(signal.SIGCONT)

    async def _jump(self) -> None:
        children = [child for some in self._children.values() for child in some]
        self._chance.choice(children).clock.set(self._chance.choice(JUMPS_S))

    async def _cut(self) -> None:
        assert self._proxy is not None
        self._proxy.cut_all()

    async def _hole(self) -> None:
        assert self._proxy is not None
        self._proxy.weather = Weather(is_hole=True)
        await asyncio.sleep(self._chance.uniform(*LASTS_S))
        self._proxy.weather = FAIR


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Everybody who takes part."""

    broker: Broker
    proxy: Proxy | None
    books: "Books"
    producers: list[Child]
    consumers: list[Child]

    @property
    def everybody(self) -> list[Child]:
        return [*self.producers, *self.consumers]


async def run(order: Order, *, dsn: str, say: Callable[[str], None] = lambda text: None) -> Report:
    """Fire, then rest. Raises ServerMissing and FaketimeMissing."""
    async with _set(order, dsn, producers=PRODUCERS, consumers=CONSUMERS) as stage:
        report = Report()
        fire = Fire(stage.broker, stage.proxy, {"producer": stage.producers, "consumer": stage.consumers}, order.seed)
        began = time.monotonic()
        while (
            (placed := await stage.books.placed()) < order.orders
            or time.monotonic() - began < order.seconds
            or not fire.has_done_everything
        ):
            say(f"{placed} orders placed, {sum(fire.done.values())} faults, {await stage.books.text()}")
            await fire.go_on()
            for child in stage.everybody:
                if not child.is_alive:
                    report.violations.append(f"a {child.task.role} ended by itself")
                    child.start()
        report.faults, report.fire_s = fire.done, time.monotonic() - began
        say("the fire is out")
        await _rest(stage, order, report)
        return report


async def outage(order: Order, *, dsn: str, down_s: float, say: Callable[[str], None] = lambda text: None) -> Report:
    """The broker is gone for a while: orders go on, and their events arrive afterwards, in order for each of them. One
    consumer, for two at once may overtake each other. Raises ServerMissing and FaketimeMissing."""
    async with _set(order, dsn, producers=PRODUCERS, consumers=1) as stage:
        report = Report()
        while await stage.books.placed() < order.orders // 10:
            await asyncio.sleep(LOOK_S)
        say("the broker is killed")
        stage.broker.server.kill()
        before = await stage.books.placed()
        await asyncio.sleep(down_s)
        if (meanwhile := await stage.books.placed() - before) <= 0:
            report.violations.append("no order was placed while the broker was down")
        say(f"{meanwhile} orders were placed meanwhile, {await stage.books.text()}; the broker comes back")
        report.faults["kill -9 of the broker"] += 1
        report.fire_s = down_s
        stage.broker.server.start()
        while await stage.books.placed() < order.orders:
            await asyncio.sleep(LOOK_S)
        await _rest(stage, order, report)
        if report.stale:
            report.violations.append(f"{report.stale} events came after newer ones of the same order")
        return report


async def _rest(stage: Stage, order: Order, report: Report) -> None:
    """Until everything has had its effect, or for too long; then what must hold is looked for."""
    began = time.monotonic()
    while not await stage.books.are_at_rest(order.orders) and time.monotonic() - began < REST_S:
        await asyncio.sleep(LOOK_S)
    report.rest_s = time.monotonic() - began
    await asyncio.sleep(1)  # for what should not come any more
    report.violations += await stage.books.violations(order.orders)
    report.stale = (await stage.books.tally())[5]


@asynccontextmanager
async def _set(order: Order, dsn: str, *, producers: int, consumers: int) -> AsyncIterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="hansa-clocks-"))

    def clock(number: int) -> WallClock:
        return WallClock(folder / f"clock-{number}")

    broker = BROKERS[order.broker]()
    children: list[Child] = []
    try:
        broker.server.start()
        async with _books(dsn) as books, _line(broker, order.seed) as proxy:
            bus = broker.address(broker.server.port if proxy is None else proxy.port)
            share = order.orders // producers
            task = Task(role="consumer", worker=0, dsn=dsn, bus=bus, pause_s=order.pause_s)
            stage = Stage(
                broker=broker,
                proxy=proxy,
                books=books,
                producers=[
                    Child(replace(task, role="producer", worker=n, first=n * share, last=(n + 1) * share), clock(n))
                    for n in range(producers)
                ],
                consumers=[Child(replace(task, worker=n), clock(n)) for n in range(producers, producers + consumers)],
            )
            children = stage.everybody
            for child in children:
                child.start()
            yield stage
    finally:
        for child in children:
            child.kill()
        broker.server.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Books:
    """What is written down on both sides."""

    def __init__(self, produced: PostgresDatabase, consumed: PostgresDatabase) -> None:
        self._produced = produced
        self._consumed = consumed

    async def placed(self) -> int:
        """Orders that are placed, paid, and told of."""
        return int((await self._produced.all(world.KEPT))[0][1])

    async def unsent(self) -> int:
        return int((await self._produced.all(world.UNSENT))[0][0])

    async def tally(self) -> list[int]:
        """Orders with an effect, sum of both effects, the most of each, and stale events."""
        row = (await self._consumed.all(world.TALLY))[0]
        return [int(row[index]) for index in range(6)]

    async def text(self) -> str:
        tally = await self.tally()
        return f"{await self.unsent()} events unsent, {tally[1] + tally[2]} effects"

    async def are_at_rest(self, orders: int) -> bool:
        return not await self.unsent() and (await self.tally())[:3] == [orders, orders, orders]

    async def violations(self, orders: int) -> list[str]:
        found = []
        tally = await self.tally()
        if tally[:3] != [orders, orders, orders]:
            found.append(f"of {orders} orders {tally[0]} are known, {tally[1]} placed and {tally[2]} paid effects")
        if max(tally[3:5]) > 1:
            found.append(f"an effect happened {max(tally[3:5])} times")
        if unsent := await self.unsent():
            found.append(f"{unsent} events are unsent")
        for database in (self._produced, self._consumed):
            dead = (await database.all(world.DEAD))[0]
            if dead[0]:
                found.append(f"{dead[0]} dead letters in {database.name}: {dead[1]}")
        return found


@asynccontextmanager
async def _books(dsn: str) -> AsyncIterator[Books]:
    clock = SystemClock()
    both = [
        await databases.open_postgres(dsn, name, metadata, clock=clock, ids=Ids(clock=clock), pool_size=2)
        for name, metadata in ((world.PRODUCER, world.PRODUCED), (world.CONSUMER, world.CONSUMED))
    ]
    try:
        yield Books(*both)
    finally:
        for database in both:
            await database.close()


@asynccontextmanager
async def _line(broker: Broker, seed: int) -> AsyncIterator[Proxy | None]:
    if not broker.is_behind_a_line:
        yield None
        return
    proxy = Proxy(port=broker.server.port, chance=random.Random(seed))
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.close()
