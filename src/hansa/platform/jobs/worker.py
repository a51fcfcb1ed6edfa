"""Work that would hold up the loop, done one piece after the other in a thread of its own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """One thread, and the order in which it was asked: what was cut short by its caller is finished before anything
    else begins. A loop without threads (a simulator's) does the work at once in its `run_in_executor`."""

    def __init__(self, *, name: str) -> None:
        """`name` is the thread's, as tools show it."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, act: Callable[..., T], *arguments: Any) -> T:
        """What the act returns or raises. It goes on if the caller leaves after it has begun."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(act, *arguments))

    def close(self) -> None:
        """Take nothing more; what was asked for before is done, without anybody waiting for it."""
        self._thread.shutdown(wait=False)
