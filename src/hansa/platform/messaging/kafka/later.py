"""What is put off and not yet due: it stays in hand, and its partition is not read on, until its time has come."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Offsets = dict[Any, int]


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A record and from when on (milliseconds since 1970) it may be given to its consumer."""

    record: Any
    due_ms: int


class Later:
    """By partition, in the order in which it was put off."""

    def __init__(self) -> None:
        self._waiting: dict[Any, deque[Waiting]] = {}
        self._ends: Offsets = {}

    @property
    def partitions(self) -> set[Any]:
        """Those that are not to be read on."""
        return set(self._waiting)

    @property
    def next_due_ms(self) -> int | None:
        return min((waiting[0].due_ms for waiting in self._waiting.values()), default=None)

    def hold(self, partition: Any, waiting: Iterable[Waiting], *, end: int) -> None:
        """`end` is the offset after all that was read of the partition."""
        self._ends[partition] = end
        self._waiting.setdefault(partition, deque()).extend(waiting)
        if not self._waiting[partition]:
            del self._waiting[partition]

    def take(self, *, now_ms: int, most: int) -> list[Waiting]:
        """What is due."""
        taken: list[Waiting] = []
        for partition, waiting in list(self._waiting.items()):
            while waiting and waiting[0].due_ms <= now_ms and len(taken) < most:
                taken.append(waiting.popleft())
            if not waiting:
                del self._waiting[partition]
        return taken

    def offsets(self) -> Offsets:
        """How far each partition is done with, if what was taken is."""
        return {
            partition: self._waiting[partition][0].record.offset if partition in self._waiting else end
            for partition, end in self._ends.items()
        }

    def clear(self) -> None:
        self._waiting.clear()
        self._ends.clear()
