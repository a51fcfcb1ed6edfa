"""A store in this process: what the others are compared with, and what tests and simulators share among their shops."""

from collections.abc import Sequence

from hansa.platform.cache.header import About, about
from hansa.platform.cache.port import LARGEST_VALUE, LONGEST_KEY, Entry, Listener, Loan


class LocalStore:
    """Several caches may share one. Tokens are numbers in the order of loans."""

    tells = True

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.loans: dict[str, tuple[int, int]] = {}
        self.causes: dict[str, str] = {}
        self._number = 0
        self._listeners: list[Listener] = []

    async def start(self) -> None: ...

    async def read(self, keys: Sequence[str]) -> list[Entry | None]:
        check(keys)
        return [self.entries.get(key) for key in keys]

    async def lend(self, key: str, *, now: int, for_s: float) -> Loan:
        check([key])
        if key in self.loans and self.loans[key][1] > now:
            return Loan(token=None)
        self._number += 1
        self.loans[key] = self._number, now + round(for_s * 1_000_000)
        return Loan(token=self._number)

    async def put(self, key: str, entry: Entry, *, token: int) -> bool:
        check([key])
        if self.loans.get(key, (None, 0))[0] != token:
            return False
        del self.loans[key]
        if len(entry.value) > LARGEST_VALUE:
            return False
        if key in self.entries and self.entries[key].version > entry.version:
            return False
        assert About.entry(about(entry), entry.value) == entry
        self.entries[key] = entry
        return True

    async def give_back(self, key: str, *, token: int) -> None:
        if self.loans.get(key, (None, 0))[0] == token:
            del self.loans[key]

    async def drop(self, keys: Sequence[str], *, cause: str = "") -> None:
        check(keys)
        dropped = [key for key in keys if not cause or self.causes.get(key) != cause]
        for key in dropped:
            self.entries.pop(key, None)
            self.loans.pop(key, None)
            if cause:
                self.causes[key] = cause
        for listener in self._listeners:
            listener.dropped(dropped)

    async def names(self, prefix: str, *, limit: int) -> list[str]:
        return sorted(key for key in self.entries if key.startswith(prefix))[:limit]

    async def figures(self) -> dict[str, int]:
        return {"keys": len(self.entries), "memory_bytes": sum(len(entry.value) for entry in self.entries.values())}

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    async def close(self) -> None: ...


def check(keys: Sequence[str]) -> None:
    for key in keys:
        if not 0 < len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError("this is no key")
