"""Processes that share a store, each with a cache of its own; and the truth behind them, which counts its questions."""

import asyncio
import random
from collections.abc import Callable

import msgspec

from hansa.kernel.clock import Clock
from hansa.platform.cache.caching import Cache
from hansa.platform.cache.families import Family, Loaded
from hansa.platform.cache.port import Store
from hansa.platform.cache.shelf import Shelf


class Thing(msgspec.Struct, frozen=True):
    """A value with the version that it is of."""

    version: int
    text: str = ""


THINGS = Family(name="tests.things", type=Thing, fresh_s=60, good_s=600, absent_s=10)


class Truth:
    """What is true; reading takes as long as `hold` is not let go."""

    def __init__(self) -> None:
        self.versions: dict[str, int] = {}
        self.asked: list[str] = []
        self.inside = 0
        self.most_inside = 0
        self.hold: asyncio.Event | None = None
        self.fails = False
        self.good_until: int | None = None

    async def load(self, key: str) -> Loaded[Thing]:
        self.asked.append(key)
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            version = self.versions.get(key)
            if self.hold is not None:
                await self.hold.wait()
            if self.fails:
                raise ConnectionError("the truth is away")
        finally:
            self.inside -= 1
        if version is None:
            return Loaded(value=None)
        return Loaded(value=Thing(version), version=version, good_until=self.good_until)


class Process:
    """One process."""

    def __init__(
        self,
        truth: Truth,
        *,
        clock: Clock,
        store: Store | None = None,
        seed: int = 1,
        is_alone: bool = False,
        most_loads: int = 16,
        family: Family[Thing] = THINGS,
        can_exist: Callable[[str], bool] | None = None,
    ) -> None:
        self.truth = truth
        self.cache = Cache(
            clock=clock, chance=random.Random(seed), store=store, is_alone=is_alone, most_loads=most_loads
        )
        self.shelf = Shelf(self.cache, family, load=truth.load, can_exist=can_exist)

    async def get(self, key: str) -> int | None:
        """The version that a reader sees; None if it sees nothing."""
        found = await self.shelf.get(key)
        return None if found is None else found.version

    def put(self, key: str, version: int | None) -> None:
        """Commit a change, and tell it."""
        if version is None:
            self.truth.versions.pop(key, None)
        else:
            self.truth.versions[key] = version
        self.cache.tell([self.shelf.name(key)])
