"""Carries a plan out on running processes, and starts again whatever has died, as an operator's supervisor does."""

import asyncio
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tests.chaos.disk import Disk
from tests.chaos.plan import Fault, Kind
from tests.chaos.processes import DatabaseProcess, ShopProcess, WallClock, insist
from tests.chaos.proxy import FAIR, Proxy, Weather

LOOK_S = 0.1
STOP_S = 20.0
"""How long an orderly stop under load may take."""
REFILL_S = 0.3
LONGER_S = 5.0
"""How much longer a fault waits for something to happen to: whoever is to be killed may just be starting."""
SLOW = Weather(delay_s=0.02, jitter_s=0.15, bytes_per_s=60_000)
CUT = Weather(cut=0.15)
HALF_CUT = Weather(half_open=0.15)
HOLE = Weather(is_hole=True)
SLOW_DATABASE = Weather(delay_s=0.002, jitter_s=0.02, bytes_per_s=500_000)
"""Every statement pays it, and a request has many."""
CUT_DATABASE = Weather(cut=0.02)
HALF_CUT_DATABASE = Weather(half_open=0.01)
WEATHERS = {
    Kind.SLOW_CLIENTS: SLOW,
    Kind.CUT_CLIENTS: CUT,
    Kind.HALF_CUT_CLIENTS: HALF_CUT,
    Kind.DEAF_CLIENTS: HOLE,
    Kind.SLOW_DATABASE: SLOW_DATABASE,
    Kind.CUT_DATABASE: CUT_DATABASE,
    Kind.HALF_CUT_DATABASE: HALF_CUT_DATABASE,
    Kind.DEAF_DATABASE: HOLE,
}


MET = {
    SLOW: "delayed",
    CUT: "cut",
    HALF_CUT: "half open",
    HOLE: "held back",
    SLOW_DATABASE: "delayed",
    CUT_DATABASE: "cut",
    HALF_CUT_DATABASE: "half open",
}
"""What a proxy counts where the weather has met with anything."""


class _Process(Protocol):
    @property
    def is_running(self) -> bool: ...
    def start(self) -> object: ...
    def kill(self) -> None: ...


@dataclass(kw_only=True)
class Fire:
    """A shop, what it runs on, and what has been done to it so far."""

    shop: ShopProcess
    clock: WallClock
    disk: Disk
    clients: Proxy
    database: DatabaseProcess | None = None
    database_line: Proxy | None = None
    say: Callable[[str], None] = lambda _text: None
    done: Counter[Kind] = field(default_factory=Counter)
    """How often each kind of fault has really been inflicted."""
    noticed: Counter[str] = field(default_factory=Counter)
    """What the supervisor saw: ends that nobody had ordered, attempts to start."""
    broken: list[str] = field(default_factory=list)
    """Promises that the processes themselves have broken: not stopping in time, not starting again."""
    _held: set[str] = field(default_factory=set)
    """What is to stay dead for now."""
    _ordered: set[str] = field(default_factory=set)
    """Whose end was ordered."""
    _is_left: bool = False
    _keepers: list[asyncio.Task[None]] = field(default_factory=list)

    def keep(self) -> None:
        """Begin to start again whatever ends."""
        self._keepers.append(asyncio.create_task(self._keep("the shop", self.shop)))
        if self.database is not None:
            self._keepers.append(asyncio.create_task(self._keep("the database", self.database)))

    async def burn(self, plan: Sequence[Fault]) -> None:
        """Everything in the plan, at its time."""
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for fault in plan:
                await asyncio.sleep(max(0.0, began + fault.at_s - asyncio.get_running_loop().time()))
                self.say(str(fault))
                group.create_task(self._inflict(fault))

    async def end(self) -> None:
        """Nothing is wrong any more, and everything runs."""
        self._held.clear()
        self.shop.thaw()
        self.clients.weather = FAIR
        if self.database is not None:
            self.database.thaw()
        if self.database_line is not None:
            self.database_line.weather = FAIR
        await asyncio.to_thread(self.disk.free)
        self.clock.set(self.clock.highest_s)

    async def leave(self) -> None:
        """Look after nothing any more."""
        self._is_left = True  # a start under way is awaited, else it would outlive us
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers.clear()

    async def _keep(self, name: str, process: _Process) -> None:
        while not self._is_left:
            if not process.is_running and name not in self._held:
                if name in self._ordered:
                    self._ordered.discard(name)
                else:
                    self.noticed[f"{name} ended by itself"] += 1
                try:
                    attempts = await asyncio.to_thread(
                        insist, process.start, what=name, is_wanted=lambda: not self._is_left
                    )
                except Exception as error:
                    self.broken.append(str(error))
                    self.say(str(error))
                    await asyncio.to_thread(process.kill)  # it may be there and yet do nothing
                else:
                    self.noticed[f"{name} started"] += 1
                    self.noticed[f"{name} could not start yet"] += attempts - 1
            await asyncio.sleep(LOOK_S)

    async def _inflict(self, fault: Fault) -> None:
        kind = fault.kind
        match kind:
            case Kind.KILL_SHOP:
                await self._end("the shop", self._kill_shop, lasts_s=fault.lasts_s)
            case Kind.RESTART_SHOP:
                await self._end("the shop", self._stop_shop, lasts_s=fault.lasts_s)
            case Kind.FREEZE_SHOP:
                await self._until(lambda: self.shop.is_running)
                self.shop.freeze()
                await asyncio.sleep(fault.lasts_s)
                self.shop.thaw()
            case Kind.FULL_DISK:
                await self._fill(fault.lasts_s)
            case Kind.CLOCK_FORWARD | Kind.CLOCK_BACK:
                self.clock.set(fault.clock_s)
            case Kind.KILL_DATABASE | Kind.RESTART_DATABASE | Kind.FREEZE_DATABASE:
                await self._database(kind, fault.lasts_s)
            case _:
                await self._weather(kind, fault.lasts_s)
        self.done[kind] += 1

    async def _until(self, is_so: Callable[[], bool]) -> None:
        """Until then, but not for long."""
        for _ in range(int(LONGER_S / LOOK_S)):
            if is_so():
                return
            await asyncio.sleep(LOOK_S)

    async def _end(self, name: str, act: Callable[[], None], *, lasts_s: float) -> None:
        process: _Process | None = self.shop if name == "the shop" else self.database
        await self._until(lambda: process is None or process.is_running)
        self._held.add(name)
        self._ordered.add(name)
        try:
            await asyncio.to_thread(act)
            await asyncio.sleep(lasts_s)
        finally:
            self._held.discard(name)

    def _kill_shop(self) -> None:
        if self.shop.process is not None:
            self.shop.kill()

    def _stop_shop(self) -> None:
        if self.shop.process is None:
            return
        self.shop.ask_to_stop()
        try:
            self.shop.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.noticed["the shop did not stop in time"] += 1
            self.shop.kill()

    async def _database(self, kind: Kind, lasts_s: float) -> None:
        database = self.database
        if database is None:
            return
        if kind is Kind.FREEZE_DATABASE:
            await self._until(lambda: database.is_running)
            await asyncio.to_thread(database.freeze)
            await asyncio.sleep(lasts_s)
            await asyncio.to_thread(database.thaw)
        else:
            act = database.kill if kind is Kind.KILL_DATABASE else database.halt
            await self._end("the database", act, lasts_s=lasts_s)

    async def _fill(self, seconds: float) -> None:
        """Full, and kept full: what is deleted meanwhile makes no room."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        try:
            while loop.time() < ends:
                self.noticed["the disk was found full"] += await asyncio.to_thread(self.disk.fill)
                await asyncio.sleep(REFILL_S)
        finally:
            await asyncio.to_thread(self.disk.free)

    async def _weather(self, kind: Kind, seconds: float) -> None:
        is_clients = kind in (Kind.SLOW_CLIENTS, Kind.CUT_CLIENTS, Kind.HALF_CUT_CLIENTS, Kind.DEAF_CLIENTS)
        proxy = self.clients if is_clients else self.database_line
        if proxy is None:
            return
        weather = WEATHERS[kind]
        met_before = proxy.counted[MET[weather]]
        proxy.weather = weather
        if kind in (Kind.CUT_CLIENTS, Kind.CUT_DATABASE):
            proxy.cut_all()
        await asyncio.sleep(seconds)
        await self._until(lambda: proxy.counted[MET[weather]] > met_before or proxy.weather is not weather)
        if proxy.weather is weather:  # else it has changed meanwhile
            proxy.weather = FAIR
