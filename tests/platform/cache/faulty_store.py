"""A store as a process reaches it over a bad line: slow, in trouble before or after the act, and hard of hearing."""

import asyncio
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from hansa.platform.cache.port import CacheTrouble, Entry, Listener, Loan
from tests.platform.cache.local_store import LocalStore

T = TypeVar("T")

PATIENCE_S = 0.05
"""How long a question waits for its answer."""
SLOW_S = 0.02
LATE_S = 3.0
"""After so long at most an act takes place that its asker has given up already."""
HEARING_S = 0.2
"""How late it may be heard what was dropped."""


class FaultyStore:
    """One process's way to a store that others reach, too. Each question goes out and its answer comes back, both in
    their time; on the way there it may be lost or held up, on the way back lost. `faults` counts what befell it.

    `marks` say of each key what was true when it was dropped last; `heard` what was true at the drops heard of here.
    """

    def __init__(
        self, store: LocalStore, *, chance: random.Random, faults: Counter[str], marks: Mapping[str, int]
    ) -> None:
        self.tells = True
        self.trouble = 0.05
        """How likely a question goes wrong."""
        self.is_cut = False
        """Whether drops pass unheard, at first without anybody noticing."""
        self.heard = dict(marks)
        self._marks = marks
        self._is_closed = False
        self._store = store
        self._chance = chance
        self._faults = faults
        self._listeners: list[Listener] = []
        self._heard: deque[dict[str, int]] = deque()
        self._late: set[asyncio.Task[None]] = set()
        store.listen(self)

    async def start(self) -> None: ...

    async def read(self, keys: Sequence[str]) -> list[Entry | None]:
        return await self._ask("read", lambda: self._store.read(keys))

    async def lend(self, key: str, *, now: int, for_s: float) -> Loan:
        return await self._ask("lend", lambda: self._store.lend(key, now=now, for_s=for_s))

    async def put(self, key: str, entry: Entry, *, token: int) -> bool:
        return await self._ask("put", lambda: self._store.put(key, entry, token=token))

    async def give_back(self, key: str, *, token: int) -> None:
        await self._ask("give back", lambda: self._store.give_back(key, token=token))

    async def drop(self, keys: Sequence[str], *, cause: str = "") -> None:
        await self._ask("drop", lambda: self._store.drop(keys, cause=cause))

    async def names(self, prefix: str, *, limit: int) -> list[str]:
        return await self._store.names(prefix, limit=limit)

    async def figures(self) -> dict[str, int]:
        return await self._store.figures()

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    async def close(self) -> None:
        self._is_closed = True

    def dropped(self, keys: Sequence[str]) -> None:
        """Heard a little later, in the order in which it happened."""
        if self._is_closed or not self.tells:
            return
        if self.is_cut:
            self._faults["a drop unheard"] += 1
            return
        self._heard.append({key: self._marks[key] for key in keys})
        asyncio.get_running_loop().call_later(self._chance.random() ** 3 * HEARING_S, self._hear)

    def missed(self) -> None: ...

    def deaf(self) -> None: ...

    def notice(self) -> None:
        """That nothing is heard any more; what is on its way never arrives."""
        self.is_cut = True
        self._heard.clear()
        for listener in self._listeners if self.tells else ():
            listener.deaf()

    def mend(self) -> None:
        self.is_cut = False
        self._heard.clear()
        self.heard = dict(self._marks)
        for listener in self._listeners if self.tells else ():
            listener.missed()

    def _hear(self) -> None:
        if self._heard:
            marks = self._heard.popleft()
            for listener in self._listeners:
                listener.dropped(tuple(marks))
            self.heard |= marks

    async def _ask(self, what: str, act: Callable[[], Awaitable[T]]) -> T:
        if self._is_closed:
            raise CacheTrouble("closed")
        await self._travel()
        if self._chance.random() >= self.trouble:
            answer = await act()
            await self._travel()
            return answer
        fate = self._chance.choice(("lost before", "lost after", "late"))
        self._faults[f"{what} {fate}"] += 1
        if fate == "lost after":
            await act()
        elif fate == "late":
            late = asyncio.create_task(self._do_late(act))
            self._late.add(late)
            late.add_done_callback(self._late.discard)
        await asyncio.sleep(PATIENCE_S)
        raise CacheTrouble(fate)

    async def _travel(self) -> None:
        """Often at once, seldom slowly."""
        await asyncio.sleep(self._chance.random() ** 4 * SLOW_S)

    async def _do_late(self, act: Callable[[], Awaitable[object]]) -> None:
        await asyncio.sleep(PATIENCE_S + self._chance.random() ** 2 * LATE_S)
        await act()
