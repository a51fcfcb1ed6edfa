"""Time as a port: services never ask the wall clock, so that the whole shop can run under a simulator."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Clock(Protocol):
    """What the time is and how to wait."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, for measuring durations."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clock; the only place in Hansa that reads it."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    monotonic = staticmethod(time.monotonic)
    """Itself, since it is asked at every turn."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 in UTC: how moments are kept in every table."""
    return (moment - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)
