"""Kinds of values that are cached: how long each is fresh, good and absent, and how it is written."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")

SPREAD = 0.2
"""Part of a time by which moments are moved at random, to either side: what was filled together expires apart. With
times of a minute, 4 % of it do so in the same second."""


@dataclass(frozen=True, kw_only=True)
class Family(Generic[T]):
    """One kind of value. Its name begins with that of the service."""

    name: str
    type: type[T]
    fresh_s: float = 60.0
    """How long a value is served without a second thought."""
    good_s: float = 3600.0
    """How long it is served at all, at first while it is refreshed, later only until somebody has refreshed it."""
    absent_s: float = 10.0
    """How long it is remembered that there is nothing: short, since nobody may tell when there is something."""


class Loaded(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """What loading came to. Without a value there is nothing of that key."""

    value: T | None
    version: int = 0
    """See `port.Entry`."""
    good_until: int | None = None
    """Microseconds since 1970 from when on it is certainly another; None if nobody knows."""


Load = Callable[[str], Awaitable[Loaded[T]]]
"""Reads what a key of the family stands for, from where it is true."""


class Counts(msgspec.Struct):
    """What became of the reads of one family in this process, since its start."""

    memory: int = 0
    """Answered from this process's memory, fresh."""
    store: int = 0
    """Answered from the shared store, fresh."""
    stale: int = 0
    """Answered from either while it was refreshed."""
    absent: int = 0
    """Of all: answered with "there is none", from memory or store."""
    denied: int = 0
    """Answered with "there cannot be one", by the filter."""
    misses: int = 0
    """In neither."""
    loads: int = 0
    coalesced: int = 0
    """Waited for what another reader of this process was finding out."""
    waits: int = 0
    """Waited for what another process was loading."""
    failures: int = 0
    """Loads that failed."""
    unreadable: int = 0
    """Entries of the store that are not of the family's type, as those of another release may be."""
