"""Leaves alone for a while what has failed several times in a row, and lets one caller at a time find out how it is."""

import random
from collections import deque

from hansa.kernel.clock import Clock

FAILURES = 5
WINDOW_S = 10.0
PAUSE_S = 1.0
LONGEST_PAUSE_S = 10.0
JITTER = 0.25
"""Pauses are shorter by up to this share, so that processes that lost the same thing do not come back together."""
LONGEST_PROBE_S = 5.0
"""A probe that has reported nothing for so long is forgotten: whoever made it was cancelled, or forgot to tell."""


class Breaker:
    """Asked before, and told after, each use of something that may be out of order.

    Closed, it allows everything. So many failures in a row, within the window, open it: nothing is allowed until the
    pause is over, and then one probe at a time. A probe that succeeds closes it; each that fails makes the next pause
    twice as long, up to the longest. What was under way when it opened neither closes it nor prolongs the pause.
    Without a `chance`, pauses bear no jitter. All times are of the monotonic clock.
    """

    __slots__ = (
        "_chance",
        "_failed_at",
        "_failures",
        "_is_closed",
        "_longest_pause_s",
        "_longest_probe_s",
        "_monotonic",
        "_next_pause_s",
        "_pause_s",
        "_probe_until",
        "_rests_until",
        "_window_s",
        "opened",
    )

    def __init__(
        self,
        *,
        clock: Clock,
        failures: int = FAILURES,
        window_s: float = WINDOW_S,
        pause_s: float = PAUSE_S,
        longest_pause_s: float = LONGEST_PAUSE_S,
        longest_probe_s: float = LONGEST_PROBE_S,
        chance: random.Random | None = None,
    ) -> None:
        self._monotonic = clock.monotonic
        self._failures = failures
        self._window_s = window_s
        self._pause_s = pause_s
        self._longest_pause_s = longest_pause_s
        self._longest_probe_s = longest_probe_s
        self._chance = chance
        self._failed_at: deque[float] = deque(maxlen=failures)
        """When the last failures happened that nothing has succeeded after."""
        self._is_closed = True
        self._next_pause_s = pause_s
        self._rests_until = 0.0
        self._probe_until: float | None = None
        self.opened = 0
        """How often it has opened, or stayed open after a probe that failed."""

    def allows(self) -> bool:
        """Whether what it guards may be used now. Who is allowed to has to tell what became of it."""
        if self._is_closed:
            return True
        now = self._monotonic()
        if now < self._rests_until or (self._probe_until is not None and now < self._probe_until):
            return False
        self._probe_until = now + self._longest_probe_s
        return True

    def succeeded(self) -> None:
        """What was allowed went well."""
        if self._is_closed:
            if self._failed_at:
                self._failed_at.clear()
        elif self._probe_until is not None:
            self._is_closed = True
            self._probe_until = None
            self._next_pause_s = self._pause_s
            self._failed_at.clear()

    def failed(self) -> None:
        """What was allowed went wrong, and not by the caller's own fault."""
        now = self._monotonic()
        if self._is_closed:
            self._failed_at.append(now)
            if len(self._failed_at) == self._failures and now - self._failed_at[0] <= self._window_s:
                self._is_closed = False
                self._rest(now)
        elif self._probe_until is not None:
            self._rest(now)

    @property
    def state(self) -> str:
        """`closed`; or `open` until somebody probes, and `half-open` while somebody does."""
        if self._is_closed:
            return "closed"
        return "open" if self._probe_until is None or self._monotonic() >= self._probe_until else "half-open"

    def _rest(self, now: float) -> None:
        share = 1.0 if self._chance is None else 1.0 - JITTER * self._chance.random()
        self._rests_until = now + self._next_pause_s * share
        self._next_pause_s = min(self._next_pause_s * 2, self._longest_pause_s)
        self._probe_until = None
        self.opened += 1
