"""The line before a flash sale: first come, first served. It decides who may try next, never who gets a piece.

It lies in memory and may be lost with the process: whoever stood in it comes again, and what was claimed is in the
database. At most as many are let in at a time as there are pieces that nobody has claimed, so that nearly nobody who is
let in is refused; each turn ends by itself after a while, so that whoever dies with one holds nobody up.
"""

import asyncio
from bisect import bisect_left, insort
from collections.abc import Callable
from typing import NamedTuple

from hansa.kernel.clock import Clock
from hansa.kernel.errors import BusinessError, Fault
from hansa.services.promotions.contract import InLine, LineFull

MOST_INSIDE = 64
"""Turns at a time: orders being made for one sale, so that the rest of the shop has air."""
LONGEST_LINE = 10_000
"""Attempts in one line; each is some hundred bytes."""
MOST_PLACES = 4
"""Of one member in one line."""
PATIENCE_S = 8.0
"""How long a request is kept waiting; the contract's time-out is a little longer."""
KEPT_S = 15.0
"""How long the place of one whose request has ended is kept."""
MOST_REFUSED = 4
"""Of those in line, in one turn of the loop: each is a request that comes to its end, and hundreds at once would keep
everybody else in the shop waiting."""
TURN_S = 5.0
"""How long a turn lasts at most."""
COME_BACK_S = 1
"""After which somebody in line may ask again."""
TRY_AGAIN_S = 2
"""After which somebody may see whether there is room in the line."""


class Turn(NamedTuple):
    """Somebody who was let in and has neither claimed pieces yet nor left."""

    member: str
    pieces: int
    until: float


class Attempt:
    """Somebody in line. `askers` are the requests that wait for the same attempt; without any it is not called up."""

    def __init__(self, *, key: str, member: str, pieces: int, number: int) -> None:
        self.key = key
        self.member = member
        self.pieces = pieces
        self.number = number
        self.askers = 0
        self.lapses_at = 0.0
        self.called: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Line:
    """See the module. `left` tells how many pieces are unclaimed, `hopeless` why somebody has no chance now, if so."""

    def __init__(
        self, *, clock: Clock, left: Callable[[], int], hopeless: Callable[[int], BusinessError | None]
    ) -> None:
        self._clock = clock
        self._left = left
        self._hopeless = hopeless
        self._attempts: dict[str, Attempt] = {}
        self._by_number: dict[int, Attempt] = {}
        self._present: list[int] = []
        """Numbers of those whose requests wait, the first first."""
        self._absent: dict[str, Attempt] = {}
        """Those whose requests have ended, in the order in which their places lapse."""
        self._numbers_of: dict[str, list[int]] = {}
        """By member; at most `MOST_PLACES`."""
        self._inside: dict[str, Turn] = {}
        self._last = 0
        self._is_going_on = False
        """Whether the next turn of the loop goes on with answering."""

    @property
    def is_idle(self) -> bool:
        return not self._attempts and not self._inside

    @property
    def waiting(self) -> int:
        return len(self._present)

    def place_of(self, member: str) -> int:
        """The best place of a member, 1 being next; 0 for none."""
        numbers = self._numbers_of.get(member)
        return bisect_left(self._present, min(numbers)) + 1 if numbers else 0

    async def enter(self, *, key: str, member: str, pieces: int) -> None:
        """Wait for one's turn. Raises why there is no chance, InLine, LineFull."""
        if key in self._inside:
            return
        attempt = self._attempts.get(key) or self._joined(key=key, member=member, pieces=pieces)
        attempt.askers += 1
        if attempt.askers == 1 and attempt.number not in self._by_number:
            self._return(attempt)
        self.serve()
        try:
            await asyncio.wait([attempt.called], timeout=PATIENCE_S)
        finally:
            attempt.askers -= 1
            if not attempt.askers and not attempt.called.done():
                self._leave_for_now(attempt)
        if attempt.called.done():
            return attempt.called.result()
        place = bisect_left(self._present, attempt.number) + 1
        raise InLine(place=place, retry_after_s=COME_BACK_S)

    def give_up(self, key: str) -> None:
        """The turn or the place of an attempt is free."""
        if self._inside.pop(key, None) is not None or self._attempts.get(key) is not None:
            if (attempt := self._attempts.get(key)) is not None:
                self._remove(attempt)
                _answer(attempt, Fault("the attempt was given up"))
            self.serve()

    def turn_used(self, member: str) -> None:
        """The longest turn of a member is over: what was wanted was claimed, or refused."""
        key = next((key for key, turn in self._inside.items() if turn.member == member), None)
        if key is not None:
            del self._inside[key]
        self.serve()

    def serve(self) -> None:
        """Call up whoever is next as long as there is room, and answer those at the front who have no chance.

        To be done whenever pieces or turns may have come free, and now and then, for turns end by themselves.
        """
        now = self._clock.monotonic()
        self._let_lapse(now)
        outside = self._left() - sum(turn.pieces for turn in self._inside.values())
        refused = 0
        while self._present:
            attempt = self._by_number[self._present[0]]
            refusal = self._hopeless(attempt.pieces)
            if refusal is None and (attempt.pieces > outside or len(self._inside) >= MOST_INSIDE):
                break
            if refused >= MOST_REFUSED:
                self._go_on()
                break
            self._remove(attempt)
            if refusal is None:
                outside -= attempt.pieces
                self._inside[attempt.key] = Turn(attempt.member, attempt.pieces, now + TURN_S)
            else:
                refused += 1
            _answer(attempt, refusal)

    def _go_on(self) -> None:
        if self._is_going_on:
            return
        self._is_going_on = True

        def serve() -> None:
            self._is_going_on = False
            self.serve()

        asyncio.get_running_loop().call_soon(serve)

    def close(self) -> None:
        """Break off what waits, as if the process had died."""
        for attempt in list(self._attempts.values()):
            self._remove(attempt)
            _answer(attempt, Fault("the line was broken off"))

    def _joined(self, *, key: str, member: str, pieces: int) -> Attempt:
        if (why := self._hopeless(pieces)) is not None:
            raise why
        self._let_lapse(self._clock.monotonic())
        if len(self._attempts) >= LONGEST_LINE or len(self._numbers_of.get(member, ())) >= MOST_PLACES:
            raise LineFull(retry_after_s=TRY_AGAIN_S)
        self._last += 1
        attempt = Attempt(key=key, member=member, pieces=pieces, number=self._last)
        self._attempts[key] = attempt
        self._numbers_of.setdefault(member, []).append(attempt.number)
        return attempt

    def _return(self, attempt: Attempt) -> None:
        """To the place that was kept, or at the end for one who has just come."""
        self._absent.pop(attempt.key, None)
        self._by_number[attempt.number] = attempt
        insort(self._present, attempt.number)

    def _leave_for_now(self, attempt: Attempt) -> None:
        if attempt.key not in self._attempts:
            return
        self._forget_number(attempt)
        attempt.lapses_at = self._clock.monotonic() + KEPT_S
        self._absent[attempt.key] = attempt
        self.serve()

    def _let_lapse(self, now: float) -> None:
        while self._absent:
            attempt = next(iter(self._absent.values()))
            if attempt.lapses_at > now:
                break
            self._remove(attempt)
        for key in [key for key, turn in self._inside.items() if turn.until <= now]:
            del self._inside[key]

    def _remove(self, attempt: Attempt) -> None:
        self._absent.pop(attempt.key, None)
        self._forget_number(attempt)
        if self._attempts.pop(attempt.key, None) is not None:
            self._numbers_of[attempt.member].remove(attempt.number)
            if not self._numbers_of[attempt.member]:
                del self._numbers_of[attempt.member]

    def _forget_number(self, attempt: Attempt) -> None:
        if self._by_number.pop(attempt.number, None) is not None:
            del self._present[bisect_left(self._present, attempt.number)]


def _answer(attempt: Attempt, refusal: Exception | None) -> None:
    if attempt.called.done():
        return
    if refusal is None:
        attempt.called.set_result(None)
    else:
        attempt.called.set_exception(refusal)
        attempt.called.exception()  # seen: of one who has left it would be logged as lost
