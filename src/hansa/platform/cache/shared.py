"""The store that processes share, as one of them uses it: asked only while it is well, and believed only so far.

Whoever asks here gets an answer and never a reason: a store in trouble is one that has nothing and lends nothing.
"""

import random
from collections.abc import Awaitable, Iterable
from typing import TypeVar

import structlog

from hansa.kernel.clock import Clock, to_micros
from hansa.platform.cache.dropping import Dropping
from hansa.platform.cache.port import LARGEST_VALUE, CacheTrouble, Entry, Store
from hansa.platform.resilience.breaker import Breaker

T = TypeVar("T")

LEASE_S = 5.0
"""How long somebody may take to fill a key before another one may."""
LENT = 0
"""Instead of a token: another process is filling the key."""

log = structlog.get_logger()


class Shared:
    """See the module."""

    def __init__(self, *, store: Store, clock: Clock, chance: random.Random) -> None:
        self.store = store
        self.breaker = Breaker(clock=clock, chance=chance)
        self.trouble = 0
        """Times that the store did not answer, or not as it should."""
        self._dropping = Dropping(store=store, clock=clock)
        self._clock = clock

    @property
    def pending(self) -> int:
        """Changes that the store has not been told yet."""
        return self._dropping.count

    def is_pending(self, name: str) -> bool:
        """Whether it has changed, and the store may not know."""
        return self._dropping.is_pending(name)

    async def read(self, name: str) -> Entry | None:
        """What the store has, if it may be served: it is good, and has not changed as far as this process knows."""
        if self._dropping.is_pending(name):
            return None
        found = await self._ask(self.store.read((name,)))
        entry = found[0] if found else None
        # Asked again, since the key may have changed while the answer was on its way.
        if entry is None or self._dropping.is_pending(name) or entry.made_at < self._dropping.not_before:
            return None
        return entry if self.now() < entry.good_until else None

    async def lend(self, name: str) -> int | None:
        """A token, or LENT; None if there is no store to be filled now."""
        if self._dropping.is_pending(name):
            return None
        loan = await self._ask(self.store.lend(name, now=self.now(), for_s=LEASE_S))
        return None if loan is None else loan.token or LENT

    async def put(self, name: str, entry: Entry, *, token: int) -> None:
        if len(entry.value) <= LARGEST_VALUE:
            await self._ask(self.store.put(name, entry, token=token))
        else:
            await self.give_back(name, token=token)

    async def give_back(self, name: str, *, token: int) -> None:
        await self._ask(self.store.give_back(name, token=token))

    def drop(self, names: Iterable[str], *, cause: str) -> None:
        """Have names dropped, soon, until the store has done so."""
        self._dropping.add(names, cause=cause)

    async def quiet(self) -> None:
        """Return when the store has been told of everything, or is in trouble."""
        await self._dropping.quiet()

    async def close(self) -> None:
        await self._dropping.close()
        await self.store.close()

    def now(self) -> int:
        return to_micros(self._clock.now())

    async def _ask(self, question: Awaitable[T]) -> T | None:
        if not self.breaker.allows():
            question.close()  # type: ignore[attr-defined]
            return None
        try:
            answer = await question
        except ValueError:  # no store has such a key, and nothing is wrong with this one
            self.breaker.succeeded()
            return None
        except CacheTrouble as trouble:
            self.trouble += 1
            self.breaker.failed()
            if self.breaker.state == "open":
                log.warning("the cache is left alone for a while", reason=str(trouble))
            return None
        self.breaker.succeeded()
        return answer
