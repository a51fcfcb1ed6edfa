"""So many at once and no more: the others wait in the order in which they came, and beyond a bound nobody waits."""

import asyncio
from collections import OrderedDict
from types import TracebackType

from hansa.kernel.errors import StorageBusy


class GateFull(StorageBusy):
    """Too many wait already. Nothing was begun."""


class Gate:
    """Entered with `async with gate:`. Raises GateFull at once if `most` are inside and `most_waiting` wait.

    A place that is left goes to who has waited longest, not to who happens to come by; who leaves the queue gives its
    turn on.
    """

    def __init__(self, *, most: int, most_waiting: int) -> None:
        self._most = most
        self._most_waiting = most_waiting
        self._turns: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        """Of those who wait, by arrival. There are none unless all places are taken."""
        self.inside = 0
        self.most_inside = 0
        """The most that ever were inside at once."""

    @property
    def waiting(self) -> int:
        return len(self._turns)

    async def __aenter__(self) -> None:
        if self.inside < self._most:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
            return
        if len(self._turns) >= self._most_waiting:
            raise GateFull(f"{len(self._turns)} wait already")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns[turn] = None
        try:
            await turn
        except BaseException:
            self._turns.pop(turn, None)
            if turn.done() and not turn.cancelled():
                self._leave()  # it was our turn already
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        """Hand the place on. One who is being cancelled may stand in the queue still."""
        while self._turns:
            turn, _ = self._turns.popitem(last=False)
            if not turn.done():
                turn.set_result(None)
                return
        self.inside -= 1
