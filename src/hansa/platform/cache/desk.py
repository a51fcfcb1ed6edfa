"""What operators may ask of the cache of a process: how it does, what it has of a key, and to forget or to warm."""

from datetime import datetime
from typing import Annotated, Protocol

import msgspec

from hansa.kernel.contract import Key, command, query
from hansa.kernel.errors import BusinessError, Kind
from hansa.platform.cache.families import Counts
from hansa.platform.cache.port import LONGEST_KEY

MOST_WARMED = 50
MOST_DROPPED = 1_000
"""Keys in one call."""
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_KEY)]


class CacheAway(BusinessError, code="cache.away", kind=Kind.CONFLICT):
    """The store does not answer, or cannot list its keys; `reason` says which."""

    reason: str


class FamilyFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the reads of one family in this process, since its start."""

    family: str
    counts: Counts


class HotKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that is read often."""

    name: str
    reads_per_s: float


class CacheFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How the cache does. Of the store nothing is said if there is none, or if it does not answer."""

    families: tuple[FamilyFigures, ...]
    memory_keys: int
    memory_bytes: int
    """About: of decoded values."""
    is_deaf: bool
    """Whether nothing is kept in memory, since changes may pass unheard."""
    store: dict[str, int]
    breaker: str
    """`none` without a store, else `closed`, `open` or `half-open`."""
    trouble: int
    """Times that the store did not answer, or not as it should."""
    pending: int
    """Changes that the store has not been told yet."""
    loads_now: int
    loads_waiting: int
    most_loads: int
    """The most that ever were at the databases at once."""
    hottest: tuple[HotKey, ...]


class InMemory(msgspec.Struct, frozen=True, kw_only=True):
    """What this process holds of a key, and for how many seconds yet."""

    fresh_s: float
    good_s: float
    is_absent: bool


class InStore(msgspec.Struct, frozen=True, kw_only=True):
    """What the store holds of a key."""

    value: str
    """JSON."""
    version: int
    is_absent: bool
    made_at: datetime
    fresh_until: datetime
    good_until: datetime


class Inspected(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of a key."""

    name: str
    memory: InMemory | None
    store: InStore | None
    is_pending: bool
    """Whether it has changed, and the store has not been told yet."""


class CacheDesk(Protocol):
    """Of the process that is asked; other processes on the same store have memories of their own."""

    @query()
    async def figures(self) -> CacheFigures: ...

    @query(errors=(CacheAway,))
    async def inspect(self, *, name: Name) -> Inspected:
        """What memory and store have of a key, such as `products.slug:{baker-boy-cap}`."""
        ...

    @query(errors=(CacheAway,))
    async def listed(self, *, prefix: Name) -> Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST_DROPPED)]:
        """Some keys of the store that begin so; nothing without a store."""
        ...

    @command(errors=(CacheAway,))
    async def drop(
        self, *, key: Key, names: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MOST_DROPPED)]
    ) -> None:
        """Forget these keys in the store, which tells the other processes; this one forgets all that it has in memory,
        which cannot be asked for prefixes and is soon filled again."""
        ...

    @query()
    async def hottest(self) -> tuple[str, ...]:
        """The keys that were read most often of late, by this process or the one before it; the most often first."""
        ...

    @command(timeout_ms=60_000)
    async def warm(self, *, key: Key, names: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MOST_WARMED)]) -> int:
        """Read these keys; answers of how many there is something."""
        ...
