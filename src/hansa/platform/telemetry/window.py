"""What happened in the last minute, in fixed memory: rings of seconds and slices, buckets on a logarithmic scale."""

import math
from array import array
from collections.abc import Sequence

SLICE_S = 5
SLICES = 12
WINDOW_S = SLICE_S * SLICES
"""A window is the slice that runs and the 11 before it: the last 55 to 60 seconds."""

LOWEST_S = 0.000_01
HIGHEST_S = 120.0
GROWTH = 1.08
"""A bucket's width; its middle is off by at most (GROWTH - 1) / (GROWTH + 1) < 4 % from anything in it."""
_PER_BUCKET = 1 / math.log(GROWTH)
_OFFSET = 1 - math.log(LOWEST_S) * _PER_BUCKET
BUCKETS = int(math.log(HIGHEST_S) * _PER_BUCKET + _OFFSET) + 1


def bucket_of(seconds: float) -> int:
    """The bucket of a duration: 0 for all up to LOWEST_S, the last one for all from HIGHEST_S."""
    if seconds <= LOWEST_S:
        return 0
    return min(int(math.log(seconds) * _PER_BUCKET + _OFFSET), BUCKETS - 1)


def middle_of(bucket: int) -> float:
    """The duration that stands for a bucket: as far, relatively, from its lower end as from its upper one."""
    if bucket == 0:
        return LOWEST_S
    lower = math.exp((bucket - _OFFSET) / _PER_BUCKET)
    return lower * 2 * GROWTH / (GROWTH + 1)


def quantile(buckets: Sequence[int], count: int, share: float) -> float:
    """The duration that the given share of `count` durations does not exceed (nearest rank); 0 if there are none."""
    rank, seen = max(1, math.ceil(share * count)), 0
    for bucket, number in enumerate(buckets):
        seen += number
        if number and seen >= rank:
            return middle_of(bucket)
    return 0.0


class Durations:
    """Durations of the window: their number, sum, and distribution."""

    __slots__ = ("_buckets_of", "_counts", "_slice", "_sums", "buckets", "count", "sum_s")

    def __init__(self) -> None:
        self.count = 0
        self.sum_s = 0.0
        self.buckets = array("I", bytes(4 * BUCKETS))
        self._buckets_of = [array("I", bytes(4 * BUCKETS)) for _ in range(SLICES)]
        self._counts = [0] * SLICES
        self._sums = [0.0] * SLICES
        self._slice = 0

    def add(self, seconds: float, number: int = 1) -> None:
        """Note so many durations of one length."""
        bucket = bucket_of(seconds)
        now = self._slice
        self.count += number
        self.buckets[bucket] += number
        self._buckets_of[now][bucket] += number
        self._counts[now] += number
        self._sums[now] += seconds * number
        self.sum_s += seconds * number

    def next_slice(self) -> None:
        """Begin a slice in place of the oldest one."""
        self._slice = oldest = (self._slice + 1) % SLICES
        if not self._counts[oldest]:
            return
        gone = self._buckets_of[oldest]
        self.buckets = array("I", map(int.__sub__, self.buckets, gone))
        self._buckets_of[oldest] = array("I", bytes(4 * BUCKETS))
        self.count -= self._counts[oldest]
        self._counts[oldest], self._sums[oldest] = 0, 0.0
        self.sum_s = math.fsum(self._sums)  # anew, so that rounding errors do not pile up


class Seconds:
    """How many in the last full second, and in the last sixty of them."""

    __slots__ = ("_counts", "_now", "_sum")

    def __init__(self) -> None:
        self._counts = array("I", bytes(4 * (WINDOW_S + 1)))
        self._now = 0
        self._sum = 0

    def add(self, number: int = 1) -> None:
        self._counts[self._now] += number
        self._sum += number

    def next_second(self) -> None:
        self._now = oldest = (self._now + 1) % (WINDOW_S + 1)
        self._sum -= self._counts[oldest]
        self._counts[oldest] = 0

    @property
    def last_second(self) -> int:
        return self._counts[self._now - 1]

    @property
    def last_minute(self) -> int:
        return self._sum - self._counts[self._now]


class Level:
    """A number that goes up and down (requests at work): now, its mean over time, and its maximum in the window."""

    __slots__ = ("_areas", "_changed_s", "_lengths", "_maxima", "_slice", "current")

    def __init__(self, *, now_s: float) -> None:
        self.current = 0
        self._changed_s = now_s
        self._areas = [0.0] * SLICES
        self._lengths = [0.0] * SLICES
        self._maxima = [0] * SLICES
        self._slice = 0

    def change(self, by: int, now_s: float) -> None:
        length = now_s - self._changed_s
        index = self._slice
        self._areas[index] += self.current * length
        self._lengths[index] += length
        self._changed_s = now_s
        self.current += by
        if self.current > self._maxima[index]:
            self._maxima[index] = self.current

    def next_slice(self, now_s: float) -> None:
        """Begin a slice at this moment in place of the oldest one."""
        self.change(0, now_s)
        self._slice = oldest = (self._slice + 1) % SLICES
        self._areas[oldest], self._lengths[oldest], self._maxima[oldest] = 0.0, 0.0, self.current

    @property
    def mean(self) -> float:
        """Up to the last change; ask after `change(0, now)`."""
        length = sum(self._lengths)
        return sum(self._areas) / length if length > 0 else float(self.current)

    @property
    def maximum(self) -> int:
        return max(self._maxima)


class Distinct:
    """How many different keys came in the window: HyperLogLog (Flajolet and others, 2007), one per slice.

    Exact for a handful, within about 2 % for any number, in 48 KiB; the keys themselves cannot be had from it.
    """

    __slots__ = ("_registers", "_slice")

    _INDEX_BITS = 12
    _REGISTERS = 1 << _INDEX_BITS
    _ALPHA = 0.7213 / (1 + 1.079 / _REGISTERS)

    def __init__(self) -> None:
        self._registers = [bytearray(self._REGISTERS) for _ in range(SLICES)]
        self._slice = 0

    def add(self, hashed: int) -> None:
        """Note a key by a well-mixed hash of at least 62 bits."""
        index = hashed & 0xFFF
        rank = 51 - ((hashed >> 12) & 0x3FFFFFFFFFFFF).bit_length()
        registers = self._registers[self._slice]
        if rank > registers[index]:
            registers[index] = rank

    def next_slice(self) -> None:
        self._slice = (self._slice + 1) % SLICES
        self._registers[self._slice] = bytearray(self._REGISTERS)

    def count(self) -> int:
        merged = bytes(map(max, *self._registers))
        estimate = self._ALPHA * self._REGISTERS**2 / math.fsum(2.0**-rank for rank in merged)
        empty = merged.count(0)
        if empty and estimate <= 2.5 * self._REGISTERS:
            estimate = self._REGISTERS * math.log(self._REGISTERS / empty)
        return round(estimate)
