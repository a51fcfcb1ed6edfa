"""`python -m bench.caching.process TASK`: reads through the cache and with the bare client, in turns.

A task is one JSON object. What was measured is printed as another one: microseconds of this process's CPU an operation.
"""

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import emcache
import msgspec
import uvloop
from moka_py import Moka
from redis.asyncio import Redis

from bench.caching.goods import KEYS, Goods, goods_of
from hansa.adapters import cache_of
from hansa.kernel.clock import SystemClock
from hansa.platform.cache.caching import Cache
from hansa.platform.cache.families import Family, Loaded
from hansa.platform.cache.memory import WEIGHT_OF_A_BYTE
from hansa.platform.cache.shelf import Shelf
from hansa.platform.telemetry import logs
from hansa.settings import Settings

AT_ONCE = 32
GOODS = Family(name="bench.goods", type=Goods)
Ask = Callable[[str], Awaitable[Any]]


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """`store` is a setting of the shop's cache; so many operations of each kind, in so many turns."""

    store: str
    count: int
    turns: int


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """By what was done (`hit`, `bare_hit`, `miss`, `bare_miss`): microseconds an operation, one for each turn. And how
    long changes took to reach the memory of another cache, in milliseconds."""

    us: dict[str, list[float]]
    told_ms: list[float] = []


async def measured(task: Task) -> Measured:
    cache, shelf = _opened(task)
    await cache.start()
    values = {f"{{{number}}}": msgspec.json.encode(goods_of(number)) for number in range(KEYS)}
    keys = list(values)
    names = [shelf.name(key) for key in keys]
    for key in keys:
        await shelf.get(key)
    acts: dict[str, Callable[[], Awaitable[None]]] = {}
    if cache.shared is None:
        bare: Moka[str, Any] = Moka(64 * 1024 * 1024)
        for key, value in values.items():
            bare.set(shelf.name(key), msgspec.json.decode(value, type=Goods))

        async def hit() -> None:
            for number in range(task.count):
                shelf.peek(names[number % KEYS])

        async def get() -> None:
            for number in range(task.count):
                await shelf.get(keys[number % KEYS])

        async def bare_hit() -> None:
            for number in range(task.count):
                bare.get(names[number % KEYS])

        acts = {"hit": hit, "bare_hit": bare_hit, "get": get}
        return Measured(us=await _in_turns(acts, task))
    client = _bare(task.store)
    decode = msgspec.json.Decoder(Goods).decode
    for key, value in values.items():
        await client.set(key, value)

    async def bare_get(key: str) -> None:
        decode(await client.get(key))

    async def fill(key: str) -> None:
        cache.tell([shelf.name(key)])
        await cache.quiet()
        await shelf.get(key)

    async def bare_fill(key: str) -> None:
        await client.delete(key)
        await client.get(key)
        await client.set(key, values[key])

    acts["hit"] = lambda: _many(shelf.get, keys, task.count)
    acts["bare_hit"] = lambda: _many(bare_get, keys, task.count)
    acts["miss"] = lambda: _many(fill, keys, task.count // 8)
    acts["bare_miss"] = lambda: _many(bare_fill, keys, task.count // 8)
    async with asyncio.timeout(10):
        while cache.is_deaf:  # until it hears of changes, after which nothing but this sets it
            await asyncio.sleep(0.01)
    cache.deaf()  # nothing is held in memory: each read goes to the store
    us = await _in_turns(acts, task)
    told_ms = await _told(task, cache, shelf) if cache.shared.store.tells else []
    await client.close()
    await cache.close()
    return Measured(us=us, told_ms=told_ms)


def _opened(task: Task) -> tuple[Cache, Shelf[Goods]]:
    clock, chance = SystemClock(), random.SystemRandom()
    store = cache_of(Settings(cache=task.store), clock, chance)
    memory = (64 if store is None else 8) * 1024 * 1024 * WEIGHT_OF_A_BYTE
    cache = Cache(clock=clock, chance=chance, store=store, is_alone=store is None, memory_bytes=memory)

    async def load(key: str) -> Loaded[Goods]:
        return Loaded(value=goods_of(int(key[1:-1])), version=1)

    return cache, Shelf(cache, GOODS, load=load)


class _Memcached:
    """The bare client behind the names of Redis' commands."""

    def __init__(self, place: str) -> None:
        host, _, port = place.partition(":")
        self._address = emcache.MemcachedHostAddress(host, int(port))
        self._client: emcache.Client | None = None

    async def _opened(self) -> emcache.Client:
        if self._client is None:
            self._client = await emcache.create_client([self._address], max_connections=16, timeout=30)
        return self._client

    async def get(self, key: str) -> bytes | None:
        item = await (self._client or await self._opened()).get(key.encode())
        return None if item is None else item.value

    async def set(self, key: str, value: bytes) -> None:
        await (self._client or await self._opened()).set(key.encode(), value)

    async def delete(self, key: str) -> None:
        with suppress(emcache.NotFoundCommandError):
            await (self._client or await self._opened()).delete(key.encode())

    async def close(self) -> None:
        await (await self._opened()).close()


def _bare(store: str) -> Any:
    if store.startswith("memcached://"):
        return _Memcached(store.removeprefix("memcached://").partition("/")[0])
    return Redis.from_url(store.partition("?")[0])


async def _many(act: Ask, keys: list[str], count: int) -> None:
    """So many at once, each on keys of its own."""

    async def some(first: int) -> None:
        for number in range(first, count, AT_ONCE):
            await act(keys[number % KEYS])

    await asyncio.gather(*(some(first) for first in range(AT_ONCE)))


async def _in_turns(acts: Mapping[str, Callable[[], Awaitable[None]]], task: Task) -> dict[str, list[float]]:
    us: dict[str, list[float]] = {name: [] for name in acts}
    for turn in range(task.turns + 1):
        for name, act in acts.items():
            began = time.process_time()
            await act()
            if turn:  # the first one warms up
                count = task.count // 8 if "miss" in name else task.count
                us[name].append(1e6 * (time.process_time() - began) / count)
    return us


async def _told(task: Task, cache: Cache, shelf: Shelf[Goods]) -> list[float]:
    """From a change to another cache's memory, one after another."""
    other, read = _opened(task)
    await other.start()
    async with asyncio.timeout(10):
        while other.is_deaf or other.memory.get(read.name("{0}")) is None:
            await read.get("{0}")
            await asyncio.sleep(0.01)
    took = []
    for number in range(500):
        name = read.name(key := f"{{{number % KEYS}}}")
        await read.get(key)
        began = time.perf_counter()
        cache.tell([shelf.name(key)])
        while other.memory.get(name) is not None:
            await asyncio.sleep(0)
        took.append(1000 * (time.perf_counter() - began))
    await other.close()
    return took


def main() -> None:
    logs.configure(level="ERROR", as_json=True)
    task = msgspec.json.decode(sys.argv[1], type=Task)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(msgspec.json.encode(runner.run(measured(task))).decode())


if __name__ == "__main__":
    main()
