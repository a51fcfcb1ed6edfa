"""Knows which ids cannot exist, so that invented ones reach neither the shared cache nor the database.

A Bloom filter holds all ids that there were when it was built, and those heard of since. What it does not hold may
exist nevertheless, if it was committed after its place had been read, and nobody told us. So an id is denied only if
its own moment lies before the reading began, by more than a margin: what was made so long before was committed by then,
and was read. That holds for what other processes make, and whatever becomes of the events about it. Events count only
for what has an old id and is new all the same: brought back from a backup, or made under a clock that was very wrong.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from datetime import datetime, timedelta

from rbloom import Bloom

from hansa.kernel.clock import Clock
from hansa.kernel.ids import first_id_at, is_id

CAPACITY = 10_000_000
ERROR = 0.01
"""The share of ids that do not exist and are asked for all the same. Costs 9.6 bits for each one that does."""
MARGIN_S = 600.0
"""What lies between the making of an id and its commit (a command may take a minute), what a replica that is read from
lags behind, and what the clocks of two machines differ by, together: some minutes, and as much again."""
HEADROOM = 1.25
"""A filter that turned out to be too small is followed by one with so much more room than there are ids."""
ADDED_AT_ONCE = 4096
"""Ids, before others get their turn: one or two milliseconds."""

Pages = Callable[[], AsyncIterator[Sequence[int]]]
"""Begins to read all ids that exist: each one that is committed when it is called must be in a page."""


class _Filter:
    """Of ids that exist. `began_at` and `began_s` say when the reading of them began, by both clocks."""

    __slots__ = ("began_at", "began_s", "bloom", "capacity", "count")

    def __init__(self, *, capacity: int, error: float, clock: Clock) -> None:
        # Before anything is read: what is committed from here on may be missing.
        self.began_at = clock.now()
        self.began_s = clock.monotonic()
        self.capacity = capacity
        self.count = 0
        # It goes by Python's hash. Of an integer that is the integer, and ids that follow a pattern would set a pattern
        # of bits (twice the errors, measured); of a text it is SipHash under a key of this process.
        self.bloom = Bloom(capacity, error)

    def add(self, ids: Sequence[int]) -> None:
        self.bloom.update(map(str, ids))
        self.count += len(ids)

    def add_new(self, ids: Collection[int]) -> None:
        """So that what is heard of twice is counted once."""
        self.add([each for each in ids if str(each) not in self.bloom])


class Existing:
    """Which ids of a kind may exist. Denies nothing until it was built.

    With `ahead_s`, unknown ids of the future are denied, too: those whose moment is further ahead of our clock than
    that, as is that of most large numbers that somebody makes up. No clock may then be so wrong, ours least of all.
    Without it only the past is judged.
    """

    def __init__(
        self,
        *,
        name: str,
        clock: Clock,
        capacity: int = CAPACITY,
        error: float = ERROR,
        margin_s: float = MARGIN_S,
        ahead_s: float | None = None,
    ) -> None:
        self.name = name
        self._clock = clock
        self._capacity = capacity
        self._error = error
        self._margin = timedelta(seconds=margin_s)
        self._ahead = None if ahead_s is None else timedelta(seconds=ahead_s)
        self._filter: _Filter | None = None
        self._building: _Filter | None = None
        self._one_at_a_time = asyncio.Lock()

    def can_exist(self, id_text: str) -> bool:
        """Whether something may have this id. True is no promise, and what is no id at all is not judged."""
        known = self._filter
        if known is None or not is_id(id_text):
            return True
        return id_text in known.bloom or not self._is_judged(int(id_text), known)

    def note(self, ids: Collection[int]) -> None:
        """These exist; told of once or more, early or late."""
        for each in (self._filter, self._building):
            if each is not None:
                each.add_new(ids)

    async def rebuild(self, pages: Pages) -> bool:
        """Read all ids anew, and judge by them from then on; whether it came to that. One at a time. If reading fails,
        the error is raised and all stays as it was. If there are more than was thought, they are read once more, into a
        filter of their size."""
        async with self._one_at_a_time:
            capacity = self._capacity if self.count <= self._capacity else int(self.count * HEADROOM)
            try:
                built = await self._built(pages, capacity=capacity)
                if built is not None and built.count > built.capacity:
                    built = await self._built(pages, capacity=int(built.count * HEADROOM))
            finally:
                self._building = None
            if built is None:
                return False
            self._filter = built
            return True

    def forget(self) -> None:
        """Deny nothing until the next rebuilding; one that is under way does not count, since it may have read what is
        wrong by now. Missed events are no reason: for those there is the margin. A database that was replaced, or got
        back rows with old ids, is."""
        self._filter = None
        self._building = None

    @property
    def as_of(self) -> datetime | None:
        """When the reading began of what is judged by; ids from the margin before it, and later, are never denied. None
        if nothing is denied."""
        return None if self._filter is None else self._began(self._filter)

    @property
    def count(self) -> int:
        """Ids that are known to exist, about."""
        return 0 if self._filter is None else self._filter.count

    @property
    def memory_bytes(self) -> int:
        """Of the filters, also that which is being built."""
        return sum(each.bloom.size_in_bits // 8 for each in (self._filter, self._building) if each is not None)

    def _is_judged(self, number: int, known: _Filter) -> bool:
        """Whether an id that exists would be in the filter."""
        if number < first_id_at(self._began(known) - self._margin):
            return True
        return self._ahead is not None and number >= first_id_at(self._clock.now() + self._ahead)

    def _began(self, known: _Filter) -> datetime:
        """By the clock as it goes now: if it went ahead then, and was set back since, the beginning was earlier than it
        seemed."""
        passed = timedelta(seconds=self._clock.monotonic() - known.began_s)
        return min(known.began_at, self._clock.now() - passed)

    async def _built(self, pages: Pages, *, capacity: int) -> _Filter | None:
        """A filter of all ids; None if all was forgotten meanwhile."""
        built = self._building = _Filter(capacity=capacity, error=self._error, clock=self._clock)
        reading = pages()
        try:
            async for page in reading:
                for start in range(0, len(page), ADDED_AT_ONCE):
                    built.add(page[start : start + ADDED_AT_ONCE])
                    await self._clock.sleep(0)
        finally:
            if isinstance(reading, AsyncGenerator):
                await reading.aclose()
        return built if self._building is built else None
