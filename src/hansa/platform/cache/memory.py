"""What this process has in its own memory: decoded values, bounded in bytes; what is read often stays (TinyLFU)."""

from collections import Counter
from typing import Any, Literal

from moka_py import Moka

WEIGHT_OF_A_BYTE = 4
"""Bytes of memory that a byte of JSON takes when it has become objects, about."""
WEIGHT_OF_AN_ENTRY = 400


class Held:
    """A value and until when it may be served, by the monotonic clock."""

    __slots__ = ("fresh_until", "good_until", "reads", "value", "weight")

    def __init__(self, value: Any, *, fresh_until: float, good_until: float, size: int) -> None:
        self.value = value
        self.fresh_until = fresh_until
        self.good_until = good_until
        self.reads = 0
        self.weight = WEIGHT_OF_AN_ENTRY + WEIGHT_OF_A_BYTE * size


def _weight(key: str, held: Held) -> int:
    return held.weight


class Memory:
    """See the module. `get` is the library's own, so that a hit costs as little as it can."""

    def __init__(self, *, capacity_bytes: int) -> None:
        self._kept: Moka[str, Held] = Moka(capacity_bytes, weigher=_weight, eviction_listener=self._left)
        self._weights: Counter[str] = Counter()
        self.get = self._kept.get

    def keep(self, key: str, held: Held) -> None:
        self._weights[family_of(key)] += held.weight
        self._kept.set(key, held)

    def forget(self, key: str) -> None:
        self._kept.remove(key)

    def forget_everything(self) -> None:
        self._kept.clear()

    def by_family(self) -> dict[str, int]:
        """About how many bytes the values of each family take."""
        self._kept.run_pending_tasks()
        return dict(self._weights)

    def figures(self) -> tuple[int, int]:
        """Entries, and about how many bytes they take."""
        self._kept.run_pending_tasks()
        return self._kept.count(), self._kept.weighted_size()

    def _left(self, key: str, held: Held, _cause: Literal["explicit", "size", "expired", "replaced"]) -> None:
        self._weights[family_of(key)] -= held.weight


def family_of(key: str) -> str:
    return key.partition(":")[0]
