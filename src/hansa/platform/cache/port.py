"""What every cache that processes share can do: keep values under keys, and lend the right to fill one."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

LARGEST_VALUE = 512 * 1024
"""Bytes of a value; nothing larger is kept."""
LONGEST_KEY = 200
"""ASCII characters of a key, without what a store puts before and after it (Memcached takes 250)."""


class CacheTrouble(Exception):
    """The store did not answer in time, or not as it should. Whoever asked goes on without it."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A value as it is kept. Moments are microseconds since 1970, by the clock of whoever loaded it."""

    value: bytes
    """Plain JSON; `null` where it is known that there is nothing."""
    version: int = 0
    """Of the thing that it shows: a later one is larger. 0 where things of the kind have none."""
    is_absent: bool = False
    made_at: int
    """When its loading began."""
    fresh_until: int
    """From then on one refreshes it, and it is served meanwhile."""
    good_until: int
    """From then on it is served to nobody. Stores forget it about then."""


class Loan(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the wish to fill a key: a token, or else somebody else has it."""

    token: int | None


class Listener(Protocol):
    """Hears what was dropped from a store, by whomever. It keeps copies only, so it may be told too much, but never too
    little."""

    def dropped(self, keys: Sequence[str]) -> None: ...

    def missed(self) -> None:
        """Drops may have passed unheard; from now on they are heard again. All copies are to be forgotten."""
        ...

    def deaf(self) -> None:
        """From now on drops may pass unheard, until `missed` is called: no copies are to be kept."""
        ...


class Store(Protocol):
    """A cache that processes share. Everything but `close` may raise CacheTrouble, and does so within the time the
    adapter allows; a damaged entry, or one of another format, is none. Keys are printable ASCII without blanks, at most
    LONGEST_KEY long; keys with the same part in braces, as `products.get:{123}:en`, may be asked for together."""

    tells: bool
    """Whether it tells the other processes what was dropped. If not, the message bus has to."""

    async def start(self) -> None:
        """Connect, or begin to try: a store that is not there is no reason not to start."""
        ...

    async def read(self, keys: Sequence[str]) -> list[Entry | None]:
        """The entries of keys, in their order, good or not any more."""
        ...

    async def lend(self, key: str, *, now: int, for_s: float) -> Loan:
        """Ask for the right to fill a key. It ends with `put`, `give_back`, `drop`, or when the time is over; the
        entry that is there stays readable meanwhile."""
        ...

    async def put(self, key: str, entry: Entry, *, token: int) -> bool:
        """Keep an entry, if the token still stands; whether it did. What is there with a larger version stays. Ends the
        loan."""
        ...

    async def give_back(self, key: str, *, token: int) -> None:
        """End a loan without having filled the key."""
        ...

    async def drop(self, keys: Sequence[str], *, cause: str = "") -> None:
        """Forget entries and end loans, and tell the other processes. Where a `cause` is given (the id of an event),
        the store may skip keys that it has dropped for the same cause."""
        ...

    async def names(self, prefix: str, *, limit: int) -> list[str]:
        """Some keys that begin with the prefix and have an entry, for operators; slow, and raises CacheTrouble where
        the store cannot say."""
        ...

    async def figures(self) -> dict[str, int]:
        """What the store says of itself, such as `memory_bytes` and `keys`, for operators."""
        ...

    def listen(self, listener: Listener) -> None:
        """Before `start`."""
        ...

    async def close(self) -> None: ...
