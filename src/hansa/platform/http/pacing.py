"""What is under way comes first: of each route only so many requests are begun in one turn of the loop, in the order of
arrival.

An order is answered after many turns. Were thousands of requests begun in each, such as those of a flash sale
that is sold out, every turn would take as long as all of them together; and were there one line for everybody, whoever
orders something else would stand behind them.
"""

import asyncio
from collections import deque

MOST_BEGUN = 16
"""Of one route in one turn of the loop."""


class Pacing:
    """See the module. Costs next to nothing as long as there is no crowd. Lanes are routes, of which there are few."""

    def __init__(self, *, most: int = MOST_BEGUN) -> None:
        self._most = most
        self._begun: dict[str, int] = {}
        """By lane, in this turn."""
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By lane; none is empty."""
        self._is_counting = False

    def may_begin(self, lane: str) -> bool:
        """Whether a request may begin in this turn, and is counted as begun; else it is to wait for its `turn`."""
        if lane in self._waiting or self._begun.get(lane, 0) >= self._most:
            return False
        self._count(lane)
        return True

    async def turn(self, lane: str) -> None:
        """Return when it is one's turn; those who have gone away are passed over."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[None] = loop.create_future()
        self._waiting.setdefault(lane, deque()).append(waiting)
        self._watch(loop)
        await waiting

    def _count(self, lane: str) -> None:
        self._begun[lane] = self._begun.get(lane, 0) + 1
        self._watch(asyncio.get_running_loop())

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._is_counting:
            self._is_counting = True
            loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._is_counting = False
        self._begun.clear()
        for lane, line in list(self._waiting.items()):
            while line and self._begun.get(lane, 0) < self._most:
                waiting = line.popleft()
                if not waiting.done():
                    self._count(lane)
                    waiting.set_result(None)
            if not line:
                del self._waiting[lane]
