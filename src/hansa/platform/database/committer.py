"""A thread that waits for the disk, so that the loop need not; half the cost of a hop of an executor."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any


class Commit(asyncio.Future[Any]):
    """What became of it. Whoever waits waits to the end: a cancellation reaches them then, and not before."""

    def cancel(self, msg: Any = None) -> bool:
        return False


_Work = tuple[Callable[[], Any], Commit, asyncio.AbstractEventLoop]


class Committer:
    """Does one thing after the other, in the order of asking. The thread starts with the first."""

    def __init__(self, *, name: str) -> None:
        self._name = name
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._thread: Thread | None = None

    def submit(self, act: Callable[[], Any]) -> Commit:
        if self._thread is None:
            self._thread = Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        outcome = Commit(loop=loop)
        self._work.put((act, outcome, loop))
        return outcome

    def close(self) -> None:
        """Waits for what was asked for."""
        if self._thread is not None:
            self._work.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            act, outcome, loop = work
            try:
                result, error = act(), None
            except BaseException as raised:
                result, error = None, raised
            with suppress(RuntimeError):  # of a loop that has been closed meanwhile nobody waits
                loop.call_soon_threadsafe(_tell, outcome, result, error)


def _tell(outcome: Commit, result: Any, error: BaseException | None) -> None:
    if error is None:
        outcome.set_result(result)
    else:
        outcome.set_exception(error)
