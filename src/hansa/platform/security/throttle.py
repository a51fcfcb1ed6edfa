"""A brake on guessing: after some failures within a while, a key has to wait."""

import math
from collections import OrderedDict, deque

from hansa.kernel.clock import Clock
from hansa.kernel.errors import BusinessError, Kind


class TooManyAttempts(BusinessError, code="security.too_many_attempts", kind=Kind.TOO_MANY):
    """There were too many failed attempts; try again later."""

    retry_after_s: int


class Throttle:
    """Counts failures per key in a sliding window, for the `largest` number of keys that were heard of last.

    `check` counts nothing by itself: attempts of one key that run at the same time all pass it, so at most
    `limit` and the number of passwords being checked at once (see Passwords) can be tried in a window. Use one
    throttle by account and another, with a higher limit, by address: who floods one with invented keys to push a key
    out is held by the other.
    """

    def __init__(self, *, clock: Clock, limit: int, window_s: float, largest: int) -> None:
        self._clock = clock
        self._limit = limit
        self._window_s = window_s
        self._largest = largest
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, key: str) -> None:
        """Raises TooManyAttempts while the key has to wait."""
        failures = self._failures.get(key)
        if failures is None:
            return
        self._failures.move_to_end(key)
        # The deque holds the last `limit` failures: if even the oldest is within the window, the limit is reached.
        left_s = failures[0] + self._window_s - self._clock.monotonic()
        if len(failures) == self._limit and left_s > 0:
            raise TooManyAttempts(retry_after_s=math.ceil(left_s))

    def failed(self, key: str) -> None:
        """Count a failure."""
        failures = self._failures.setdefault(key, deque(maxlen=self._limit))
        failures.append(self._clock.monotonic())
        self._failures.move_to_end(key)
        while len(self._failures) > self._largest:
            self._failures.popitem(last=False)

    def succeeded(self, key: str) -> None:
        """Forget the key's failures."""
        self._failures.pop(key, None)
