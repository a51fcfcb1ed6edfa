"""One process of readers: it does what it is told on its input, and answers each line with one."""

import asyncio
import random
import sys
from collections import Counter
from typing import Any

import msgspec

from hansa.kernel.clock import SystemClock
from hansa.platform.cache.caching import Cache
from hansa.platform.cache.families import Family, Loaded
from hansa.platform.cache.redis_store.store import RedisStore
from hansa.platform.cache.shelf import Shelf
from hansa.platform.telemetry import logs
from tests.platform.cache.processes import Thing
from tests.ports import HOST

KEY = "{1}"
FRESH_S = 0.6
GOOD_S = 600.0
AMPLE_S = 10.0
"""For the store to answer: the machine has other work."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is."""

    redis: str
    truth_port: int
    seed: int


class ReaderProcess:
    """See the module."""

    def __init__(self, task: Task) -> None:
        self._task = task
        clock = SystemClock()
        store = RedisStore(
            address=task.redis,
            clock=clock,
            chance=random.Random(),
            read_within_s=AMPLE_S,
            act_within_s=AMPLE_S,
        )
        self._cache = Cache(clock=clock, chance=random.Random(task.seed), store=store)
        family = Family(name="tests.read", type=Thing, fresh_s=FRESH_S, good_s=GOOD_S)
        self._shelf = Shelf(self._cache, family, load=self._load)
        self._reading: list[asyncio.Task[Any]] = []
        self._is_over = False

    async def live(self) -> None:
        await self._cache.start()
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            what, number = msgspec.json.decode(line)
            print(msgspec.json.encode(await self._do(what, number)).decode(), flush=True)

    async def _do(self, what: str, number: int) -> Any:
        match what:
            case "hears":
                while self._cache.is_deaf:
                    await asyncio.sleep(0.005)
            case "tell":
                self._cache.tell([self._shelf.name(KEY)])
                await self._cache.quiet()
            case "holds":
                return self._cache.memory.get(self._shelf.name(KEY)) is not None
            case "read":
                self._reading = [asyncio.create_task(self._shelf.get(KEY)) for _ in range(number)]
                await asyncio.sleep(0)
            case "seen":
                return Counter(found.version for found in await asyncio.gather(*self._reading) if found is not None)
            case "read on":
                self._reading = [asyncio.create_task(self._read_on()) for _ in range(number)]
            case "stop":
                self._is_over = True
                outcomes = await asyncio.gather(*self._reading, return_exceptions=True)
                return sum(outcome is not None for outcome in outcomes)
        return None

    async def _read_on(self) -> None:
        while not self._is_over:
            assert await self._shelf.get(KEY) is not None
            await asyncio.sleep(0.02 * random.random())

    async def _load(self, key: str) -> Loaded[Thing]:
        reader, writer = await asyncio.open_connection(HOST, self._task.truth_port)
        writer.write(key.encode() + b"\n")
        version, good_until = msgspec.json.decode(await reader.readline())
        writer.close()
        return Loaded(value=Thing(version), version=version, good_until=good_until)


if __name__ == "__main__":
    logs.configure(level="ERROR", as_json=True)
    asyncio.run(ReaderProcess(msgspec.json.decode(sys.argv[1], type=Task)).live())
