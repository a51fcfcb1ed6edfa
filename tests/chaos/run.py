"""One run: a crowd goes shopping while the shop burns; then all is put out, everybody comes back, and it is judged."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import msgspec

from hansa.compose import compose
from hansa.settings import Settings
from tests.chaos.fire import Fire
from tests.chaos.plan import Kind, timeline
from tests.chaos.rest import open_ends
from tests.chaos.stage import NAME, staged
from tests.simulation.invariants.collect import collect
from tests.simulation.invariants.every_check import judge
from tests.simulation.invariants.evidence import Evidence
from tests.simulation.workload import crowd, scene
from tests.simulation.workload.door import Door, History
from tests.simulation.workload.http_door import HttpDoor
from tests.simulation.workload.journal import Journal
from tests.simulation.workload.size import Size

CROWDS = 4
"""So many crowds shop side by side; when one has left, the next one comes, until the fire is out."""
CROWD_S = 4.0
"""Over how many seconds a crowd arrives."""
REST_S = 90.0
"""A promise: when all faults are over, everything comes to its end within this."""
HOLD_S = 16 * 60
"""A little more than the longest that pieces are held: the clock jumps by it at the end."""
LOOK_S = 0.5
SAY_EVERY_S = 10.0


@dataclass(kw_only=True)
class Crowd:
    """Those who came together: their seed, which is part of their names and keys, and what they noted."""

    seed: int
    journal: Journal = field(default_factory=Journal)

    def door_of(self, door: Door, history: History) -> Callable[[str], Door]:
        """The door for an actor, who goes by the same name all its life."""
        return lambda actor: history.door(door, actor=f"{self.seed} {actor}")


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a run is asked to do."""

    seed: int
    seconds: float
    has_database: bool
    shoppers: int = 12
    """In each crowd."""
    steps: int = 3
    """Visits of each."""
    history: Path | None = None
    """Where everything that was asked and answered is written, a line of JSON each."""


@dataclass(kw_only=True)
class Report:
    """What a run has shown."""

    order: Order
    faults: Counter[Kind] = field(default_factory=Counter)
    noticed: Counter[str] = field(default_factory=Counter)
    lines: Counter[str] = field(default_factory=Counter)
    disk: str = ""
    requests: int = 0
    replies: Counter[str] = field(default_factory=Counter)
    orders: Counter[str] = field(default_factory=Counter)
    placed_under_fire: int = 0
    rest_s: float = 0.0
    open_ends: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def text(self) -> str:
        """For people."""
        where = "PostgreSQL" if self.order.has_database else "the embedded shop"
        parts = [
            f"Chaos on {where}: seed {self.order.seed}, {self.order.seconds:.0f} s, disk: {self.disk}",
            _table("faults", self.faults),
            _table("processes", self.noticed),
            _table("lines", self.lines),
            _table(f"{self.requests} requests", self.replies),
            _table(f"orders ({self.placed_under_fire} acknowledged under fire)", self.orders),
            f"at rest {self.rest_s:.1f} s after the last fault, of {REST_S:.0f} s allowed",
            *(f"VIOLATION {violation}" for violation in self.violations),
            f"{len(self.violations)} violations" if self.violations else "no violations",
        ]
        return "\n".join(parts)


def _table(title: str, counted: Counter[str] | Counter[Kind]) -> str:
    return "\n  ".join([title, *(f"{count:7d}  {what}" for what, count in sorted(counted.items()) if count)])


async def run(order: Order, *, say: Callable[[str], None] = lambda _text: None) -> Report:
    """Set up, burn, put out, come back, rest, judge."""
    report = Report(order=order)
    loop = asyncio.get_running_loop()
    began = loop.time()
    history = History(lambda: round(loop.time() - began, 4))
    crowds: list[Crowd] = []
    async with (
        staged(seed=order.seed, has_database=order.has_database, say=say) as fire,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        report.disk = fire.disk.what
        door = HttpDoor(session, address=f"http://127.0.0.1:{fire.clients.port}")
        staff = await asyncio.to_thread(fire.shop.staff)
        await scene.set_scene(door, staff_token=staff, pause=_pause)

        fire.keep()
        plan = timeline(seed=order.seed, seconds=order.seconds, has_database=order.has_database)
        burning = asyncio.create_task(fire.burn(plan))
        telling = asyncio.create_task(_tell(history, crowds, say))
        visiting = [_crowds(number, order, burning, door, history, crowds) for number in range(CROWDS)]
        shopping = asyncio.gather(*visiting)
        await burning
        report.placed_under_fire = sum(len(each.journal.orders) for each in crowds)

        say("the fire is out")
        await fire.end()
        put_out = loop.time()
        await shopping
        for each in crowds:
            await crowd.come_back(each.door_of(door, history), journal=each.journal, pause=_pause)
        say("everybody has come back")
        await _rest(fire, report)
        report.rest_s = loop.time() - put_out
        telling.cancel()
        await fire.leave()
        status = await asyncio.to_thread(fire.shop.stop)
        if status:
            fire.broken.append(f"the shop ended with status {status}: {fire.shop.said()[-400:]}")
        say("the shop is closed; judging")
        await _judge(fire, history, report)
        _sum_up(fire, history, crowds, report)
    if order.history is not None:
        write(history, order.history)
    return report


async def _pause(seconds: float) -> None:
    """Real time passes."""
    await asyncio.sleep(seconds)


async def _crowds(
    number: int, order: Order, burning: asyncio.Task[None], door: Door, history: History, crowds: list[Crowd]
) -> None:
    """One crowd after the other until the fire is out. Each has a seed, and with it names and keys, of its own."""
    wave = 0
    await asyncio.sleep(number * CROWD_S / CROWDS)
    while not burning.done():
        coming = Crowd(seed=(order.seed * CROWDS + number) * 10_000 + wave)
        crowds.append(coming)
        await crowd.run(
            coming.door_of(door, history),
            seed=coming.seed,
            size=Size(shoppers=order.shoppers, steps=order.steps, over_s=CROWD_S),
            pause=_pause,
            has_search=True,
            journal=coming.journal,
        )
        wave += 1


async def _tell(history: History, crowds: Sequence[Crowd], say: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(SAY_EVERY_S)
        orders = sum(len(each.journal.orders) for each in crowds)
        complaints = sum(len(each.journal.complaints) for each in crowds)
        say(f"… {len(history.operations)} requests, {orders} orders, {complaints} complaints")


async def _rest(fire: Fire, report: Report) -> None:
    """Wait until nothing is open; then as long as pieces are held, which takes a jump of the clock, and again."""
    deadline = asyncio.get_running_loop().time() + REST_S
    dsn = None if fire.database is None else fire.database.dsn_of(name=NAME)
    for with_reservations in (False, True):
        if with_reservations:
            fire.clock.set(fire.clock.highest_s + HOLD_S)
        while True:
            found = await open_ends(folder=fire.shop.folder, dsn=dsn, with_reservations=with_reservations)
            if not found:
                break
            if asyncio.get_running_loop().time() > deadline:
                report.open_ends = found
                return
            await asyncio.sleep(LOOK_S)


async def _judge(fire: Fire, history: History, report: Report) -> None:
    dsn = "sqlite:" if fire.database is None else fire.database.dsn_of(name=NAME)
    settings = Settings(data=str(fire.shop.folder), port=fire.shop.port, database=dsn)
    shop = await compose(settings, chance=random.Random(1))
    try:
        evidence = await collect(shop, operations=history.operations, received=scene.received)
    finally:
        await shop.close()
    report.orders = Counter(str(row["status"]) for row in evidence.rows("orders", "orders"))
    report.violations += [str(violation) for violation in judge(evidence)]
    if report.violations and report.order.history is not None:
        write_rows(evidence, report.order.history.with_suffix(".rows.jsonl"))


def _sum_up(fire: Fire, history: History, crowds: Sequence[Crowd], report: Report) -> None:
    report.faults, report.noticed = fire.done, fire.noticed
    for each in crowds:
        report.violations += [
            f"{said.check}: {said.text} [{each.seed} {said.actor} {said.subject}]" for said in each.journal.complaints
        ]
    lines = {"clients": fire.clients, "database": fire.database_line}
    for name, line in lines.items():
        if line is not None:
            report.lines.update({f"{name}: {what}": count for what, count in line.counted.items()})
    report.requests = len(history.operations)
    report.replies = Counter(
        "silence" if operation.status is None else str(operation.status) for operation in history.operations
    )
    report.violations += fire.broken
    report.violations += [
        f"rest: {count} {words} after {REST_S:.0f} s of peace" for words, count in report.open_ends.items()
    ]


def write(history: History, file: Path) -> None:
    """Every operation as a line of JSON, in the order in which they began."""
    file.parent.mkdir(parents=True, exist_ok=True)
    encoder = msgspec.json.Encoder()
    with file.open("wb") as target:
        for operation in history.operations:
            target.write(encoder.encode(operation) + b"\n")


def write_rows(evidence: Evidence, file: Path) -> None:
    """Every row of every table as a line of JSON, for whoever looks into a violation."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as target:
        for (service, table), rows in evidence.tables.items():
            for row in rows:
                target.write(msgspec.json.encode({"table": f"{service}.{table}", **row}) + b"\n")
