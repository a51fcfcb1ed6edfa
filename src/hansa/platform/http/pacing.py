"""What is under way comes first: only so many requests are begun in one turn of the loop, in the order of arrival.

An order is answered after some ten turns. Were thousands of requests begun in each, such as those of a flash sale that
is sold out, every turn would take as long as all of them together.
"""

import asyncio
from collections import deque

MOST_BEGUN = 16
"""In one turn of the loop."""


class Pacing:
    """See the module. Costs next to nothing as long as there is no crowd."""

    def __init__(self, *, most: int = MOST_BEGUN) -> None:
        self._most = most
        self._begun = 0
        self._is_counting = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    def may_begin(self) -> bool:
        """Whether a request may begin in this turn, and is counted as begun; else it is to wait for its `turn`."""
        if self._begun >= self._most or self._waiting:
            return False
        self._count()
        return True

    async def turn(self) -> None:
        """Return when it is one's turn; those who have gone away are passed over."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[None] = loop.create_future()
        self._waiting.append(waiting)
        self._watch(loop)
        await waiting

    def _count(self) -> None:
        self._begun += 1
        self._watch(asyncio.get_running_loop())

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._is_counting:
            self._is_counting = True
            loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._is_counting = False
        self._begun = 0
        while self._waiting and self._begun < self._most:
            waiting = self._waiting.popleft()
            if not waiting.done():
                self._count()
                waiting.set_result(None)
