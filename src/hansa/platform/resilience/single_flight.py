"""Acts under way: whoever asks for one that is being done already shares its end, and nobody who leaves ends it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Generic, TypeVar

from hansa.kernel.errors import CommandInFlight, Fault

T = TypeVar("T")


class Flights(Generic[T]):
    """At most one act of a name at a time in this process; as many as there are callers, whose number others bound."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[T]] = {}

    async def share(self, name: str, act: Callable[[], Awaitable[T]], *, patience_s: float | None = None) -> T:
        """What the act of this name answers or raises, begun now unless it is under way.

        Raises CommandInFlight when the caller's patience ends first; the act goes on. Raises Fault when the act is
        broken off by `close`.
        """
        task = self._tasks.get(name)
        if task is None:
            # A context of its own: the act belongs to no caller, so nobody's deadline applies to it.
            task = asyncio.get_running_loop().create_task(self._run(name, act), name=name, context=Context())
            task.add_done_callback(_note)
            self._tasks[name] = task
        done, _ = await asyncio.wait([task], timeout=patience_s)
        if not done:
            raise CommandInFlight()
        if task.cancelled():
            raise Fault(f"{name} was broken off")
        return task.result()

    async def close(self) -> None:
        """Break off what is under way, as if the process had died; return once it has ended."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()  # of one that had not begun yet nothing else does

    async def _run(self, name: str, act: Callable[[], Awaitable[T]]) -> T:
        try:
            return await act()
        finally:
            self._tasks.pop(name, None)


def _note(task: asyncio.Task[T]) -> None:
    """The end is seen even if everybody who asked has left; else the loop complains of a lost exception."""
    if not task.cancelled():
        task.exception()
