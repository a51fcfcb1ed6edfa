"""The cache of one process: its memory, the store that it shares with others, and what both are told of changes.

Services ask their shelves (`shelf.py`), of which there is one for each kind of value.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from hansa.kernel.clock import Clock
from hansa.platform.cache.changes import Changes
from hansa.platform.cache.existing import Existing
from hansa.platform.cache.hot import HotKeys
from hansa.platform.cache.memory import Memory
from hansa.platform.cache.port import Store
from hansa.platform.cache.shared import Shared
from hansa.platform.resilience.gate import Gate
from hansa.platform.resilience.single_flight import Flights

if TYPE_CHECKING:
    from hansa.platform.cache.shelf import Shelf

MEMORY_BYTES = 8 * 1024 * 1024
MOST_LOADS = 16
"""At once, in a process."""
MOST_WAITING = 10_000
MOST_CHANGES = 2_000
"""Of names that are remembered: it is enough for what changes while a value is loaded. An import changes more."""
MOST_SEEN = 20_000
"""Keys whose highest version is remembered, the latest seen last."""

log = structlog.get_logger()


class Cache:
    """See the module; one for a process. Without a store there is memory only. Whoever `is_alone` makes all changes."""

    def __init__(
        self,
        *,
        clock: Clock,
        chance: random.Random,
        store: Store | None = None,
        is_alone: bool = False,
        memory_bytes: int = MEMORY_BYTES,
        most_loads: int = MOST_LOADS,
    ) -> None:
        self.clock = clock
        self.chance = chance
        self.memory = Memory(capacity_bytes=memory_bytes)
        self.shared = None if store is None else Shared(store=store, clock=clock, chance=chance)
        self.gate = Gate(most=most_loads, most_waiting=MOST_WAITING)
        """To the truth: to the databases behind the cache."""
        self.hot = HotKeys(clock=clock)
        self.changes = Changes(most=MOST_CHANGES)
        self.flights: Flights[Any] = Flights()
        self.shelves: dict[str, Shelf[Any]] = {}
        """By the name of the family."""
        self.filters: list[Existing] = []
        """Of the ids that there are, for operators to see."""
        self.is_told = is_alone if store is None else store.tells
        """Whether this process hears of all changes at once, and knows when it does not."""
        self.is_deaf = False
        """Whether changes may pass unheard, so that nothing may be kept in memory."""
        self._is_started = False
        self._seen: OrderedDict[str, int] = OrderedDict()
        self._aside: dict[str, asyncio.Task[None]] = {}
        if store is not None:
            store.listen(self)

    async def start(self) -> None:
        if self.shared is not None and not self._is_started:
            self._is_started = True
            await self.shared.store.start()

    def tell(self, names: Iterable[str], *, cause: str = "") -> None:
        """What these stand for has changed: at once in this process, soon in the store and in all others."""
        told = tuple(names)
        self._forget(told)
        if self.shared is not None and told:
            self.shared.drop(told, cause=cause)

    def names_of(self, family: str, thing: str) -> list[str]:
        """The names of all that is kept of a thing; none if its family is unknown here."""
        shelf = self.shelves.get(family)
        return [] if shelf is None else shelf.names_of(thing)

    async def quiet(self) -> None:
        """Return when the store has been told of everything, or is in trouble."""
        if self.shared is not None:
            await self.shared.quiet()

    def dropped(self, keys: Sequence[str]) -> None:
        self._forget(keys)

    def missed(self) -> None:
        self.is_deaf = False
        self.forget_everything()

    def forget_everything(self) -> None:
        """What is in memory, or about to be put there."""
        self.changes.tell_everything()
        self.memory.forget_everything()

    def deaf(self) -> None:
        self.is_deaf = True
        self.forget_everything()

    def seen(self, name: str) -> int:
        """The highest version of a value that this process has seen, as far as that is remembered."""
        return self._seen.get(name, 0)

    def see(self, name: str, version: int) -> None:
        """Somebody is going to see a value of that version: what is older is held no more."""
        if version > self._seen.get(name, 0):
            self.memory.forget(name)
            self._seen[name] = version
            self._seen.move_to_end(name)
            if len(self._seen) > MOST_SEEN:
                self._seen.popitem(last=False)

    def aside(self, name: str, act: Callable[[], Awaitable[Any]]) -> None:
        """Do something that nobody waits for, unless something of that name is being done."""
        if name not in self._aside:
            self._aside[name] = asyncio.create_task(self._quietly(name, act))

    async def settled(self) -> None:
        """Return when nothing is done aside: for tests and orderly stops."""
        while self._aside:
            await asyncio.gather(*self._aside.values())

    async def close(self) -> None:
        aside = list(self._aside.values())
        for task in aside:
            task.cancel()
        await self.flights.close()
        await asyncio.gather(*aside, return_exceptions=True)
        # What was broken off gives its loans back, so that no other process waits for it.
        await asyncio.gather(*self._aside.values(), return_exceptions=True)
        if self.shared is not None:
            await self.shared.close()

    def _forget(self, names: Sequence[str]) -> None:
        self.changes.tell(names)
        for name in names:
            self.memory.forget(name)

    async def _quietly(self, name: str, act: Callable[[], Awaitable[Any]]) -> None:
        try:
            await act()
        except Exception as error:
            log.warning("a cached value could not be refreshed", key=name, error=type(error).__name__)
        finally:
            self._aside.pop(name, None)
