"""A clock that stands still until a test moves it."""

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, tzinfo=UTC)
SETTLING_TURNS = 50
"""Turns of the loop that whoever was woken gets before time passes on."""


class ManualClock:
    """A `Clock`: `advance` moves it in one jump, `pass_time` from sleeper to sleeper and lets each one work."""

    def __init__(self, *, start: datetime = START) -> None:
        self._start = start
        self._elapsed_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        awake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed_s + seconds, next(self._numbers), awake))
        await awake

    @property
    def sleeping(self) -> int:
        """How many wait for this clock."""
        return sum(not awake.done() for _, _, awake in self._sleepers)

    def advance(self, seconds: float) -> None:
        """Jump ahead and wake those who are due, in the order of their times; they run when the caller next awaits."""
        self._elapsed_s += seconds
        self._wake_due()

    def set_back(self, seconds: float) -> None:
        """Let the wall clock (not the monotonic one) be wrong by so much, as after a correction of time."""
        self._start -= timedelta(seconds=seconds)

    async def pass_time(self, seconds: float) -> None:
        """Go ahead step by step: each sleeper wakes at its own moment and may sleep again before the end."""
        end_s = self._elapsed_s + seconds
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= end_s:
            self._elapsed_s = max(self._elapsed_s, self._sleepers[0][0])
            self._wake_due()
            await _settle()
        self._elapsed_s = end_s

    def _wake_due(self) -> None:
        while self._sleepers and self._sleepers[0][0] <= self._elapsed_s:
            _, _, awake = heapq.heappop(self._sleepers)
            if not awake.done():
                awake.set_result(None)


async def _settle() -> None:
    for _ in range(SETTLING_TURNS):
        await asyncio.sleep(0)
