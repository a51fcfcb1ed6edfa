"""Work that a service does by itself, again and again: sweeping, sending, forgetting."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from hansa.kernel.clock import Clock

JITTER = 0.1
"""Part of a period by which runs are spread, so that processes started together do not sweep together."""

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Job:
    """`run` is called every `every_s` seconds; it must be harmless when run twice at once."""

    name: str
    every_s: float
    run: Callable[[], Awaitable[None]]


class Jobs:
    """Runs jobs until closed; a job that fails is logged and tried again at its next time."""

    def __init__(self, *, clock: Clock, chance: random.Random) -> None:
        self._clock = clock
        self._chance = chance
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, jobs: Sequence[Job]) -> None:
        self._tasks += [asyncio.create_task(self._repeat(job), name=job.name) for job in jobs]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _repeat(self, job: Job) -> None:
        while True:
            await self._clock.sleep(job.every_s * (1 + JITTER * self._chance.uniform(-1, 1)))
            try:
                await job.run()
            except Exception:
                log.exception("job failed", job=job.name)
