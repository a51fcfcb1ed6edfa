"""The values of one kind by key: from memory, from the store that processes share, or from where they are true.

A read goes down only as far as it must. What it finds below memory is found once for all who ask meanwhile; who fills a
key of the store holds its lease, and the others wait for that; and to the truth there is a gate. Whoever asks after a
change shares nothing that began before it.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Generic, TypeVar

import msgspec

from hansa.kernel.clock import to_micros
from hansa.platform.cache.caching import Cache
from hansa.platform.cache.families import SPREAD, Counts, Family, Load, Loaded
from hansa.platform.cache.memory import Held
from hansa.platform.cache.port import LONGEST_KEY, Entry
from hansa.platform.cache.shared import LEASE_S, LENT

T = TypeVar("T")

FIRST_PAUSE_S = 0.002
LONGEST_PAUSE_S = 0.02
"""Between two looks at a key that another process is filling."""
UNTOLD_S = 5.0
"""How long memory keeps a value where a change may not be told."""
MOST_REPETITIONS = 8
"""Of a load that was overtaken."""
NOTED_EVERY = 64
"""Reads of a value in memory, after which they are counted: counting each would cost as much as reading."""
NOTHING = b"null"


class Shelf(Generic[T]):
    """See the module; one for each family. A key has a part in braces that names its thing, as `{123}:en`.

    `can_exist` may deny keys for which there is certainly nothing. `forms` are what may follow a thing in braces, if a
    thing has several values, as in several languages.
    """

    def __init__(
        self,
        cache: Cache,
        family: Family[T],
        *,
        load: Load[T],
        can_exist: Callable[[str], bool] | None = None,
        forms: Iterable[str] = (),
    ) -> None:
        self.family = family
        self._forms = tuple(forms)
        self.counts = Counts()
        self._cache = cache
        self._load = load
        self._can_exist = can_exist
        self._decoder = msgspec.json.Decoder(family.type)
        self._prefix = f"{family.name}:"
        self._held = cache.memory.get
        self._note = cache.hot.note
        self._monotonic = cache.clock.monotonic
        self.peek = self._peeker()
        """What memory holds under a name, if it is fresh: for who would not wait. Else `get` finds it."""
        cache.shelves[family.name] = self

    def name(self, key: str) -> str:
        """What a key is called in the store."""
        return self._prefix + key

    def is_key(self, key: str) -> bool:
        """Whether a key could be one of the family's, as far as that can be seen: for keys from outside."""
        thing, brace, form = key.rpartition("}:") if self._forms else key.rpartition("}")
        return key.startswith("{") and bool(brace) and len(thing) > 1 and form in (self._forms or ("",))

    def names_of(self, thing: str) -> list[str]:
        """The names of all values of a thing."""
        return [f"{self._prefix}{{{thing}}}:{form}" for form in self._forms] or [f"{self._prefix}{{{thing}}}"]

    async def get(self, key: str) -> T | None:
        """The value of a key, or None if there is none. Raises what loading raises."""
        name = self._prefix + key
        held = self.peek(name)
        if held is not None:
            return self._answer(held.value)
        self._note(name)
        held = self._held(name)
        if held is not None and self._monotonic() < held.good_until:
            self.counts.stale += 1
            self.renew(key)
            return self._answer(held.value)
        if self._can_exist is not None and not self._can_exist(key):
            self.counts.denied += 1
            return None
        if not _is_fit(name):
            return (await self._loaded(key)).value
        flight = f"find {self._cache.changes.last(name)} {name}"
        if self._cache.flights.is_under_way(flight):
            self.counts.coalesced += 1
        return self._answer(await self._cache.flights.share(flight, partial(self._find, name, key)))

    def renew(self, key: str, *, within_s: float = 0.0) -> None:
        """Have a value that is held loaded anew, without anybody waiting for it, if it is not fresh for that long."""
        name = self._prefix + key
        held = self._held(name)
        if held is not None and self._monotonic() + within_s >= held.fresh_until:
            self._cache.aside(name, partial(self._renew, name, key))

    def _peeker(self) -> Callable[[str], Held | None]:
        """A closure, since the way through `self` would cost as much as the look itself."""
        held_of, monotonic, counts, note = self._held, self._monotonic, self.counts, self._note

        def peek(name: str) -> Held | None:
            held = held_of(name)
            if held is None or held.fresh_until <= monotonic():
                return None
            reads = held.reads = held.reads + 1
            if reads >= NOTED_EVERY:
                held.reads = 0
                counts.memory += NOTED_EVERY
                note(name, NOTED_EVERY)
            return held

        return peek

    def _answer(self, value: T | None) -> T | None:
        if value is None:
            self.counts.absent += 1
        return value

    async def _find(self, name: str, key: str) -> T | None:
        found = await self._stored(name)
        if found is None:
            self.counts.misses += 1
            return await self._fill(name, key)
        value, is_fresh = found
        if is_fresh:
            self.counts.store += 1
        else:
            self.counts.stale += 1
            self._cache.aside(name, partial(self._renew, name, key))
        return value

    async def _fill(self, name: str, key: str) -> T | None:
        """Load with the lease; or wait for who has it, but not longer than that may take."""
        patience = self._monotonic() + LEASE_S
        pause_s = FIRST_PAUSE_S
        while (token := await self._lend(name)) == LENT and self._monotonic() < patience:
            self.counts.waits += pause_s == FIRST_PAUSE_S
            await self._cache.clock.sleep(pause_s * (1 + self._cache.chance.random()))
            pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)
            found = await self._stored(name)
            if found is not None:
                return found[0]
        if token:  # it may have been filled between the last look and the loan
            found = await self._stored(name)
            if found is not None:
                self._cache.aside(f"give back {name}", partial(self._give_back, name, token))
                return found[0]
        return await self._load_and_keep(name, key, token=token or None)

    async def _renew(self, name: str, key: str) -> None:
        """Load anew what is not fresh any more, unless another process is at it, or has done it."""
        token = await self._lend(name)
        if token == LENT:
            return
        found = await self._stored(name)
        if token is not None and found is not None and found[1]:
            await self._give_back(name, token)
        else:
            await self._load_and_keep(name, key, token=token)

    async def _load_and_keep(self, name: str, key: str, *, token: int | None) -> T | None:
        cache = self._cache
        try:
            loaded, since, made_at = await self._loaded_last(name, key)
        except BaseException:
            if token is not None:
                cache.aside(f"give back {name}", partial(self._give_back, name, token))
            raise
        entry = self._entry(loaded, made_at=made_at)
        # Held before anything is waited for, so not over something newer.
        self._hold(name, loaded.value, entry, since=since)
        if token is not None and cache.shared is not None:
            seen = cache.seen(name)
            if entry.is_absent:  # what is gone has no version; it is as new as what was seen before
                entry = msgspec.structs.replace(entry, version=seen)
            await cache.shared.put(name, entry, token=token)
            if cache.seen(name) > seen:
                loaded, *_ = await self._loaded_last(name, key)
        return loaded.value

    async def _loaded_last(self, name: str, key: str) -> tuple[Loaded[T], int, int]:
        """What was loaded, and when that began: by the number of changes, and by the clock. A load may end after
        another one that began later, and whoever has seen that must not see an older value."""
        cache = self._cache
        for is_repeated in (False, *[True] * MOST_REPETITIONS):
            since, made_at, known = cache.changes.number, self._now(), cache.seen(name)
            loaded = await self._loaded(key)
            seen = cache.seen(name)
            if loaded.version >= seen or (is_repeated and seen == known):  # as of what was deleted
                break
        cache.see(name, loaded.version)
        return loaded, since, made_at

    async def _loaded(self, key: str) -> Loaded[T]:
        try:
            async with self._cache.gate:
                self.counts.loads += 1
                return await self._load(key)
        except Exception:
            self.counts.failures += 1
            raise

    def _entry(self, loaded: Loaded[T], *, made_at: int) -> Entry:
        family, spread = self.family, 1 + SPREAD * (2 * self._cache.chance.random() - 1)
        is_absent = loaded.value is None
        fresh_s = (family.absent_s if is_absent else family.fresh_s) * spread
        good_until = made_at + _micros(fresh_s if is_absent else family.good_s * spread)
        if loaded.good_until is not None:
            good_until = min(good_until, loaded.good_until)
        return Entry(
            value=NOTHING if is_absent else msgspec.json.encode(loaded.value),
            version=loaded.version,
            is_absent=is_absent,
            made_at=made_at,
            fresh_until=min(made_at + _micros(fresh_s), good_until),
            good_until=good_until,
        )

    async def _stored(self, name: str) -> tuple[T | None, bool] | None:
        """What the store has, and whether it is fresh; it is held from then on. None if there is nothing of use."""
        cache = self._cache
        since = cache.changes.number
        entry = None if cache.shared is None else await cache.shared.read(name)
        if entry is None or entry.version < cache.seen(name):
            return None
        try:
            value = None if entry.is_absent else self._decoder.decode(entry.value)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            self.counts.unreadable += 1
            return None
        cache.see(name, entry.version)
        self._hold(name, value, entry, since=since)
        return value, self._now() < entry.fresh_until

    def _hold(self, name: str, value: T | None, entry: Entry, *, since: int) -> None:
        """Keep a value in memory, unless it has changed since, or changes may pass unheard."""
        cache = self._cache
        if cache.is_deaf or cache.changes.is_changed((name,), since=since):
            return
        longest_s = self.family.good_s * (1 + SPREAD) if cache.is_told else UNTOLD_S  # whatever clocks say
        now, moment = self._monotonic(), self._now()
        good_s = min((entry.good_until - moment) / 1_000_000, longest_s)
        fresh_s = min((entry.fresh_until - moment) / 1_000_000, good_s)
        if good_s > 0:
            held = Held(value, fresh_until=now + fresh_s, good_until=now + good_s, size=len(entry.value))
            cache.memory.keep(name, held)

    async def _lend(self, name: str) -> int | None:
        return None if self._cache.shared is None else await self._cache.shared.lend(name)

    async def _give_back(self, name: str, token: int) -> None:
        if self._cache.shared is not None:
            await self._cache.shared.give_back(name, token=token)

    def _now(self) -> int:
        return to_micros(self._cache.clock.now())


def _is_fit(name: str) -> bool:
    return len(name) <= LONGEST_KEY and name.isascii() and name.isprintable() and " " not in name


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)
