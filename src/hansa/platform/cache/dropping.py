"""Changes on their way to the store: told before anybody is answered, repeated until the store has them."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping

from hansa.kernel.clock import Clock, to_micros
from hansa.platform.cache.port import CacheTrouble, Store

MOST_PENDING = 20_000
BATCH = 500
AT_ONCE = 8
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0
SKEW_US = 10_000_000
"""How far the clocks of processes may differ."""


class Dropping:
    """See the module. A key that is pending is not to be read from the store; `not_before` is the moment (microseconds
    since 1970) before which nothing in the store can be believed, since there was too much to remember."""

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._pending: dict[str, str] = {}
        self._under_way: Mapping[str, str] = {}
        self._task: asyncio.Task[None] | None = None
        self._done: asyncio.Future[None] | None = None
        self.not_before = 0

    def is_pending(self, key: str) -> bool:
        return key in self._pending or key in self._under_way

    @property
    def count(self) -> int:
        return len(self._pending) + len(self._under_way)

    def add(self, keys: Iterable[str], *, cause: str) -> None:
        """Have keys dropped. One that is under way already is dropped once more: it may have been filled meanwhile."""
        for key in keys:
            self._add(key, cause)
        if len(self._pending) > MOST_PENDING:
            self._pending.clear()
            self.not_before = to_micros(self._clock.now()) + SKEW_US
        elif self._task is None:
            self._task = asyncio.create_task(self._drop(), name="cache.dropping")

    async def quiet(self) -> None:
        """Return when the store has everything that was added until now, or is in trouble."""
        if self._task is not None:
            if self._done is None:
                self._done = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._done)

    async def close(self) -> None:
        """What the store does not have yet other processes hear of as events."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._say_done()

    async def _drop(self) -> None:
        pause_s = FIRST_PAUSE_S
        while self._pending:
            taken = dict(list(self._pending.items())[:BATCH])
            for key in taken:
                del self._pending[key]
            self._under_way = taken
            try:
                await self._drop_all(taken)
            except CacheTrouble:
                for key, its in taken.items():
                    self._add(key, its)
                self._under_way = {}
                self._say_done()
                await self._clock.sleep(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            else:
                self._under_way = {}
                pause_s = FIRST_PAUSE_S
        self._task = None
        self._say_done()

    async def _drop_all(self, taken: Mapping[str, str]) -> None:
        """Cause by cause, some at once. Raises CacheTrouble once all have ended."""
        by_cause: dict[str, list[str]] = defaultdict(list)
        for key, cause in taken.items():
            by_cause[cause].append(key)
        causes = list(by_cause)
        for first in range(0, len(causes), AT_ONCE):
            some = causes[first : first + AT_ONCE]
            drops = (self._store.drop(by_cause[cause], cause=cause) for cause in some)
            for ended in await asyncio.gather(*drops, return_exceptions=True):
                if isinstance(ended, BaseException):
                    raise ended

    def _add(self, key: str, cause: str) -> None:
        """What has changed for two causes is dropped without one: the store may have done so for either already."""
        self._pending[key] = cause if self._pending.get(key, cause) == cause else ""

    def _say_done(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)
        self._done = None
