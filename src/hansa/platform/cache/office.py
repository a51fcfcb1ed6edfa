"""The desk at work: see `desk.py`."""

import asyncio
from contextlib import suppress

from hansa.kernel.clock import from_micros
from hansa.platform.cache.caching import Cache
from hansa.platform.cache.desk import (
    MOST_DROPPED,
    CacheAway,
    CacheFigures,
    FamilyFigures,
    HotKey,
    InMemory,
    Inspected,
    InStore,
)
from hansa.platform.cache.hottest import Hottest
from hansa.platform.cache.port import CacheTrouble, Store

HOT_SHOWN = 20
PATIENCE_S = 1.0
"""How long the store may take over a question that is about all of it."""


class CacheOffice:
    """See the module."""

    def __init__(self, *, cache: Cache, hottest: Hottest) -> None:
        self._cache = cache
        self._hottest = hottest

    async def figures(self) -> CacheFigures:
        cache, shared = self._cache, self._cache.shared
        keys, size = cache.memory.figures()
        said: dict[str, int] = {}
        if shared is not None:
            with suppress(CacheTrouble, TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    said = await shared.store.figures()
        return CacheFigures(
            families=tuple(FamilyFigures(family=name, counts=shelf.counts) for name, shelf in cache.shelves.items()),
            memory_keys=keys,
            memory_bytes=size,
            is_deaf=cache.is_deaf,
            store=said,
            breaker="none" if shared is None else shared.breaker.state,
            trouble=0 if shared is None else shared.trouble,
            pending=0 if shared is None else shared.pending,
            loads_now=cache.gate.inside,
            loads_waiting=cache.gate.waiting,
            most_loads=cache.gate.most_inside,
            hottest=tuple(HotKey(name=name, reads_per_s=round(rate, 1)) for name, rate in cache.hot.top(HOT_SHOWN)),
        )

    async def inspect(self, *, name: str) -> Inspected:
        cache, shared = self._cache, self._cache.shared
        held, now = cache.memory.get(name), cache.clock.monotonic()
        memory = store = None
        if held is not None:
            memory = InMemory(
                fresh_s=round(held.fresh_until - now, 3),
                good_s=round(held.good_until - now, 3),
                is_absent=held.value is None,
            )
        if shared is not None:
            try:
                [entry] = await shared.store.read((name,))
            except CacheTrouble as trouble:
                raise CacheAway(reason=str(trouble)) from trouble
            except ValueError:  # no store has such a key
                entry = None
            if entry is not None:
                store = InStore(
                    value=entry.value.decode(errors="replace"),
                    version=entry.version,
                    is_absent=entry.is_absent,
                    made_at=from_micros(entry.made_at),
                    fresh_until=from_micros(entry.fresh_until),
                    good_until=from_micros(entry.good_until),
                )
        is_pending = shared is not None and shared.is_pending(name)
        return Inspected(name=name, memory=memory, store=store, is_pending=is_pending)

    async def listed(self, *, prefix: str) -> tuple[str, ...]:
        if self._cache.shared is None:
            return ()
        try:
            async with asyncio.timeout(PATIENCE_S):
                return tuple(await self._cache.shared.store.names(prefix, limit=MOST_DROPPED))
        except TimeoutError:
            raise CacheAway(reason="the store does not answer") from None
        except CacheTrouble as trouble:
            raise CacheAway(reason=str(trouble)) from trouble

    async def drop(self, *, key: str, names: tuple[str, ...]) -> None:
        if self._cache.shared is not None:
            try:
                await _drop(self._cache.shared.store, names)
            except CacheTrouble as trouble:
                raise CacheAway(reason=str(trouble)) from trouble
        self._cache.forget_everything()

    async def hottest(self) -> tuple[str, ...]:
        return self._hottest.names()

    async def warm(self, *, key: str, names: tuple[str, ...]) -> int:
        return sum([await self._hottest.read(name) for name in names])


async def _drop(store: Store, names: tuple[str, ...]) -> None:
    try:
        await store.drop(names)
    except ValueError:  # no store has all of these, but it may have the others
        if len(names) > 1:
            for name in names:
                await _drop(store, (name,))
