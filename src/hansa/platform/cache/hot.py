"""Finds the keys that are read most often, in bounded memory, whatever is asked for.

Reads are counted in a summary of Misra and Gries ("Finding repeated elements", 1982), pruned many at a time as in
Agarwal and others, "Mergeable Summaries" (PODS 2012): of N reads, each count is too small by at most N / (counters + 1)
and never too large. So nobody drives a key out that has a larger share of the reads than that, and invented keys, read
once each, cost their place only. There are two summaries, of the present window and of the one before; what has not
been read for two windows is forgotten.
"""

from heapq import nlargest
from operator import itemgetter

from hansa.kernel.clock import Clock

MOST = 128
WINDOW_S = 10.0
HOT_PER_S = 10.0
"""Reads per second, in this process, from which on a key is hot: refreshing it ahead of time then costs next to nothing
beside them."""
COUNTERS_PER_KEY = 8
"""Counters of each summary, by keys that may be hot at once; between two prunings there are up to twice as many."""
SETTLED_S = 1.0
"""How long it stays decided which keys are hot."""
NOTES_BETWEEN_LOOKS = 16
"""Reads after which the clock is asked again and the bound is seen to."""

_BY_RATE = itemgetter(1)


class HotKeys:
    """Which keys are hot: among the `most` that are read most often, and at least HOT_PER_S times a second."""

    __slots__ = (
        "_began",
        "_counters",
        "_counts",
        "_earlier",
        "_hot",
        "_left",
        "_monotonic",
        "_most",
        "_settled_until",
        "_window_s",
    )

    def __init__(self, *, clock: Clock, most: int = MOST, window_s: float = WINDOW_S) -> None:
        self._monotonic = clock.monotonic
        self._most = most
        self._window_s = window_s
        self._counters = most * COUNTERS_PER_KEY
        self._counts: dict[str, int] = {}
        self._earlier: dict[str, int] = {}
        """The summary of the window before."""
        self._began = clock.monotonic()
        self._left = NOTES_BETWEEN_LOOKS
        self._hot: frozenset[str] = frozenset()
        self._settled_until = self._began

    def note(self, key: str, count: int = 1) -> None:
        """A key was read, once or so many times."""
        counts = self._counts
        counts[key] = counts.get(key, 0) + count
        self._left -= 1
        if not self._left:
            self._look()

    def is_hot(self, key: str) -> bool:
        if key not in self._hot:
            return False
        self._settle(self._monotonic())
        return key in self._hot

    def top(self, count: int) -> list[tuple[str, float]]:
        """The keys that are read most often and how often a second, hot or not, most often first. Of a window that has
        begun just now, that before counts for the part that is missing."""
        now = self._monotonic()
        self._turn(now)
        return self._most_read(count, now)

    @property
    def kept(self) -> int:
        """How many keys are counted."""
        return len(self._counts) + len(self._earlier)

    def _look(self) -> None:
        self._left = NOTES_BETWEEN_LOOKS
        if len(self._counts) > 2 * self._counters:
            self._counts = _pruned(self._counts, self._counters)
        now = self._monotonic()
        self._turn(now)
        self._settle(now)

    def _settle(self, now: float) -> None:
        """Decide anew what is hot, if it was decided too long ago."""
        if now >= self._settled_until:
            self._turn(now)
            self._hot = frozenset(key for key, rate in self._most_read(self._most, now) if rate >= HOT_PER_S)
            self._settled_until = now + SETTLED_S

    def _turn(self, now: float) -> None:
        """Begin another window, if this one is over."""
        windows = (now - self._began) // self._window_s
        if windows:
            self._earlier = self._counts if windows == 1 else {}
            self._counts = {}
            self._began += windows * self._window_s

    def _most_read(self, count: int, now: float) -> list[tuple[str, float]]:
        weight = 1 - (now - self._began) / self._window_s
        reads: dict[str, float] = {key: number * weight for key, number in self._earlier.items()}
        for key, number in self._counts.items():
            reads[key] = reads.get(key, 0.0) + number
        return [(key, number / self._window_s) for key, number in nlargest(count, reads.items(), key=_BY_RATE)]


def _pruned(counts: dict[str, int], counters: int) -> dict[str, int]:
    """At most so many counts, each less by what the first one too many has. Each such unit goes from more keys than
    there are counters, so it was read that often: hence the bound on the error."""
    surplus = sorted(counts.values(), reverse=True)[counters]
    return {key: number - surplus for key, number in counts.items() if number > surplus}
