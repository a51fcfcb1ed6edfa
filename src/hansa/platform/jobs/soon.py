"""Work that a service has done at once, without anybody waiting for it: what a job does by the clock anyway."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any

import structlog

log = structlog.get_logger()


class Soon:
    """Runs an act when it is kicked, at most `most` times at once.

    A kick that finds no room is not lost: the act runs once more as soon as one of its runs has ended, so that whatever
    was written down before the kick is seen. An act that fails is logged; its regular job tries again.
    """

    def __init__(self, act: Callable[[], Awaitable[None]], *, name: str, most: int = 1) -> None:
        self._act = act
        self._name = name
        self._most = most
        # A dictionary for its order: that of a set of tasks is the order of their addresses.
        self._running: dict[asyncio.Task[Any], None] = {}
        self._is_owed = False
        self._is_closed = False

    @property
    def is_idle(self) -> bool:
        return not self._running

    async def kick(self) -> None:
        """Have the act done; returns at once. A coroutine, so that it can stand where messages are followed up."""
        if self._is_closed:
            return
        if len(self._running) >= self._most:
            self._is_owed = True
            return
        # A context of its own: nobody's deadline or correlation applies to it.
        task = asyncio.get_running_loop().create_task(self._run(), name=self._name, context=Context())
        self._running[task] = None

    async def quiet(self) -> None:
        """Wait until nothing runs and nothing is owed. Whoever gives up waiting breaks nothing off."""
        while running := list(self._running):
            await asyncio.wait(running)
            for task in running:
                if not task.cancelled():
                    task.result()  # what ends a process ends whoever waits

    async def close(self) -> None:
        """Break off what runs, and run nothing any more: the job after the next start does it."""
        self._is_closed = True
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while True:
                self._is_owed = False
                await self._attempt()
                if not self._is_owed:
                    return
        finally:
            if (task := asyncio.current_task()) is not None:
                self._running.pop(task, None)

    async def _attempt(self) -> None:
        try:
            await self._act()
        except Exception:
            log.warning("not done; the next regular attempt comes soon", what=self._name, exc_info=True)
