"""Turning a crowd away takes little of each turn of the loop, so that turns stay short for whatever else is done.

An order elsewhere is answered after fifty turns, and a hundred where it meets others. In a crowd as many requests come
as were answered; were all of them served in one turn, each turn would take as long as all of them together.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from hansa.kernel.clock import Clock

SHARE_S = 0.0003
"""Of each turn of the loop, for turning away."""

Refuse = Callable[[], bool]
"""Answers whoever has no chance; whether it did."""


class Crowd:
    """Those who came to where somebody may be turned away, in the order of arrival. Of those who are not turned away
    one begins in each turn: what it sets going is not seen here, and lies in the turns that follow."""

    def __init__(self, *, clock: Clock, share_s: float = SHARE_S) -> None:
        self._share_s = share_s
        self._now = clock.monotonic
        self._line: deque[tuple[Refuse, asyncio.Future[bool]]] = deque()

    async def turned_away(self, refuse: Refuse) -> bool:
        """What `refuse` says when it is one's turn. Whoever has gone away by then is passed over."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[bool] = loop.create_future()
        if not self._line:
            loop.call_soon(self._serve)
        self._line.append((refuse, outcome))
        return await outcome

    def _serve(self) -> None:
        until, has_begun = self._now() + self._share_s, False
        while self._line:
            refuse, outcome = self._line[0]
            if not outcome.done():
                try:
                    is_refused = refuse()
                except BaseException as error:  # whatever it is, those behind must not stand there for ever
                    outcome.set_exception(error)
                else:
                    if not is_refused and has_begun:
                        break  # and is asked again in the next turn, when there may be nothing left
                    has_begun = has_begun or not is_refused
                    outcome.set_result(is_refused)
            self._line.popleft()
            if self._now() >= until:
                break
        if self._line:
            asyncio.get_running_loop().call_soon(self._serve)
