"""What a behaviour test needs of any store: processes that have it, on a part of a server of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, Protocol

from hansa.platform.cache.port import CacheTrouble, Entry, Listener, Store

PATIENCE_S = 20.0
KEY = "products.get:{123}:en"
NOW = 1_700_000_000_000_000

Damage = Literal["cut", "changed", "foreign", "other"]
"""To an entry that is there: its end is missing; a byte of its value is another one; what stands about it has another
format; somebody else keeps something quite different under the key."""
DAMAGES: tuple[Damage, ...] = ("cut", "changed", "foreign", "other")


class Part(Protocol):
    """One test's part of a store: nobody else sees its keys, and it goes with the test."""

    async def store(self, *, listener: Listener | None = None) -> Store:
        """The store as another process has it, started; it is closed at the end of the test."""
        ...

    async def damage(self, key: str, damage: Damage) -> None:
        """Do it to the entry of a key, past the store."""
        ...


class Hearing:
    """A listener that notes what it hears."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.missed_times = 0
        self.is_deaf = False

    def dropped(self, keys: Sequence[str]) -> None:
        self.keys += keys

    def missed(self) -> None:
        self.missed_times += 1
        self.is_deaf = False

    def deaf(self) -> None:
        self.is_deaf = True


def entry(
    value: bytes = b'{"name":"Chair"}',
    *,
    version: int = 1,
    made_at: int = NOW,
    good_for_s: float = 300.0,
    is_absent: bool = False,
) -> Entry:
    good_until = made_at + round(good_for_s * 1_000_000)
    return Entry(
        value=value,
        version=version,
        is_absent=is_absent,
        made_at=made_at,
        fresh_until=(made_at + good_until) // 2,
        good_until=good_until,
    )


async def until(condition: Callable[[], bool], *, patience_s: float = PATIENCE_S) -> None:
    """Return when the condition holds; raise TimeoutError if it never does."""
    async with asyncio.timeout(patience_s):
        while not condition():
            await asyncio.sleep(0.005)


async def until_it_works(act: Callable[[], Awaitable[Any]]) -> Any:
    """What it answers as soon as there is no trouble any more."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await act()
            except CacheTrouble:
                await asyncio.sleep(0.01)


async def lent(store: Store, key: str = KEY, *, now: int = NOW, for_s: float = 60.0) -> int:
    """The token of a loan that is granted."""
    loan = await store.lend(key, now=now, for_s=for_s)
    assert loan.token is not None
    return loan.token


async def keep(store: Store, kept: Entry, key: str = KEY) -> None:
    assert await store.put(key, kept, token=await lent(store, key))


async def one(store: Store, key: str = KEY) -> Entry | None:
    (found,) = await store.read([key])
    return found
