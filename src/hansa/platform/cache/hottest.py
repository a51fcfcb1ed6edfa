"""The keys that are read most often, remembered in a file, so that the next process begins with them."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from hansa.platform.cache.caching import Cache
from hansa.platform.cache.hot import MOST as MOST_HOT
from hansa.platform.cache.port import LONGEST_KEY
from hansa.platform.jobs.periodic import Job

MOST = 500
LARGEST_FILE = MOST * (LONGEST_KEY + 8)
NOTED_EVERY_S = 8.0
"""Less than it takes until a key that was read often is forgotten."""
RENEWED_EVERY_S = 1.0
RENEWED_AHEAD_S = 2.0
RATE_PER_S = 200.0
"""Keys that are read anew, each of which may cost the database a read or two."""
LONGEST_S = 5.0
"""How long a start waits for that."""

_NAMES = msgspec.json.Decoder(list[str])

log = structlog.get_logger()


class Hottest:
    """See the module."""

    def __init__(self, *, cache: Cache, file: Path) -> None:
        self._cache = cache
        self._file = file

    def names(self) -> tuple[str, ...]:
        """Those of now; and, if these are few, those that were noted last. In the file may stand anything."""
        now = [name for name, _ in self._cache.hot.top(MOST)]
        return tuple(name for name in dict.fromkeys([*now, *self._noted()]) if self._is_name(name))[:MOST]

    async def note(self) -> None:
        """Write them down, unless there is nothing new to say."""
        if (names := self.names()) and [*names] != self._noted():
            beside = self._file.with_suffix(".new")
            beside.write_bytes(msgspec.json.encode(names))
            os.replace(beside, self._file)

    async def warm(self, *, tell: Callable[[int], None] = lambda count: None) -> int:
        """Read them at a bounded rate, as long as a start may wait; answers how many keys of them have a value."""
        clock = self._cache.clock
        began, found = clock.monotonic(), 0
        with suppress(TimeoutError):  # of a database that does not answer
            async with asyncio.timeout(LONGEST_S):
                for number, name in enumerate(self.names()):
                    if clock.monotonic() - began > LONGEST_S:
                        break
                    early_s = began + number / RATE_PER_S - clock.monotonic()
                    if early_s > 0:
                        await clock.sleep(early_s)
                    found += await self.read(name)
                    tell(1)
        return found

    async def read(self, name: str) -> bool:
        """Read one key, whatever comes of it; whether there is something."""
        if not self._is_name(name):
            return False
        family, _, key = name.partition(":")
        try:
            return await self._cache.shelves[family].get(key) is not None
        except Exception as error:
            log.warning("a cached value could not be warmed", key=name, error=type(error).__name__)
            return False

    async def renew(self) -> None:
        """Have what is hot loaded anew before it ends, so that it never does."""
        for name, _ in self._cache.hot.top(MOST_HOT):
            family, _, key = name.partition(":")
            if self._cache.hot.is_hot(name) and (shelf := self._cache.shelves.get(family)) is not None:
                shelf.renew(key, within_s=RENEWED_AHEAD_S)

    def jobs(self) -> list[Job]:
        return [
            Job(name="cache.hottest", every_s=NOTED_EVERY_S, run=self.note),
            Job(name="cache.renewal", every_s=RENEWED_EVERY_S, run=self.renew),
        ]

    def _is_name(self, name: str) -> bool:
        family, _, key = name.partition(":")
        shelf = self._cache.shelves.get(family)
        return len(name) <= LONGEST_KEY and shelf is not None and shelf.is_key(key)

    def _noted(self) -> list[str]:
        try:
            with self._file.open("rb") as file:
                return _NAMES.decode(file.read(LARGEST_FILE))
        except (OSError, ValueError):
            return []
