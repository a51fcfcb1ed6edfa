"""A process that reads and writes through the cache, judges what it sees, and answers each line of input with one."""

import asyncio
import random
import sys
from collections import defaultdict
from typing import Any

import msgspec
import uvloop

from hansa.adapters import cache_of
from hansa.kernel.clock import SystemClock
from hansa.platform.cache.caching import Cache
from hansa.platform.cache.families import Family, Loaded
from hansa.platform.cache.shelf import Shelf
from hansa.platform.telemetry import logs
from hansa.settings import Settings
from tests.chaos.cache.truth import ask
from tests.platform.cache.processes import Thing
from tests.ports import HOST

KEYS = tuple(f"{{{number}}}" for number in range(12))
READERS = 8
READ_EVERY_S = 0.05
WRITE_EVERY_S = 0.15
UNTOLD = 0.2
"""Of all changes: as if their writer had died before it told of them."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is. A store that may go back to an older state is `forgetful`: then nothing follows from what
    was told."""

    store: str
    """As in the setting `cache`."""
    truth_port: int
    seed: int
    good_s: float
    is_forgetful: bool


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """So far."""

    reads: int
    writes: int
    loads: int
    trouble: int
    pending: int
    is_deaf: bool
    violations: list[str]


class Child:
    """See the module."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._chance = random.Random(task.seed)
        clock = SystemClock()
        store = cache_of(Settings(cache=task.store), clock, random.SystemRandom())
        self._cache = Cache(clock=clock, chance=self._chance, store=store)
        family = Family(name="tests.fire", type=Thing, fresh_s=task.good_s / 2, good_s=task.good_s)
        self._shelf = Shelf(self._cache, family, load=self._load)
        self._floors: defaultdict[str, int] = defaultdict(int)
        """Versions that were seen or told here, by key."""
        self._violations: list[str] = []
        self._reads = 0
        self._writes = 0
        self._is_over = False

    async def live(self) -> None:
        await self._cache.start()
        reader, writer = await asyncio.open_connection(HOST, self._task.truth_port)
        writer.write(b"hear\n")
        hearing = asyncio.create_task(self._hear(reader))
        acting = [asyncio.create_task(self._read_on()) for _ in range(READERS)]
        acting.append(asyncio.create_task(self._write_on()))
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            answer: Any = None
            match line.strip():
                case "report":
                    answer = self._report()
                case "stop":
                    self._is_over = True
                    await asyncio.gather(*acting)
                case "look":
                    answer = {key: await self._read(key) for key in KEYS}
            print(msgspec.json.encode(answer).decode(), flush=True)
        hearing.cancel()

    def _report(self) -> Report:
        shared = self._cache.shared
        assert shared is not None
        return Report(
            reads=self._reads,
            writes=self._writes,
            loads=self._shelf.counts.loads,
            trouble=shared.trouble,
            pending=shared.pending,
            is_deaf=self._cache.is_deaf,
            violations=self._violations,
        )

    async def _read_on(self) -> None:
        while not self._is_over:
            await self._read(self._chance.choice(KEYS))
            await asyncio.sleep(self._chance.random() * READ_EVERY_S)

    async def _read(self, key: str) -> int:
        floor = self._floors[key]
        try:
            found = await self._shelf.get(key)
        except Exception as error:
            self._violations.append(f"a reader of {key} was failed: {error!r}")
            return 0
        version = 0 if found is None else found.version
        if version < floor:
            self._violations.append(f"{key}: {version} after {floor}")
        self._floors[key] = max(self._floors[key], version)
        self._reads += 1
        return version

    async def _write_on(self) -> None:
        while not self._is_over:
            await asyncio.sleep(self._chance.random() * WRITE_EVERY_S * 2)
            key = self._chance.choice(KEYS)
            version, event = msgspec.json.decode(await ask(self._task.truth_port, f"write {key}"))
            self._writes += 1
            if self._chance.random() >= UNTOLD:
                self._cache.tell([self._shelf.name(key)], cause=event)
                if not self._task.is_forgetful:
                    self._floors[key] = max(self._floors[key], version)

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            key, event = msgspec.json.decode(line)
            self._cache.tell([self._shelf.name(key)], cause=event)

    async def _load(self, key: str) -> Loaded[Thing]:
        version = msgspec.json.decode(await ask(self._task.truth_port, f"read {key}"), type=int)
        return Loaded(value=Thing(version), version=version) if version else Loaded(value=None)


if __name__ == "__main__":
    logs.configure(level="ERROR", as_json=True)
    uvloop.run(Child(msgspec.json.decode(sys.argv[1], type=Task)).live())
