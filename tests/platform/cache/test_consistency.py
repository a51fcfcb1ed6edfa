"""Whatever happens between processes and their store, nobody sees time go back, or what never was, or is failed."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hansa.platform.cache.caching import Cache
from hansa.platform.cache.changes import Changes
from hansa.platform.cache.dropping import Dropping
from hansa.platform.cache.port import CacheTrouble, Entry
from hansa.platform.cache.shared import Shared
from hansa.platform.resilience.gate import Gate
from tests.platform.cache.consistency import run
from tests.platform.cache.local_store import LocalStore

SEEDS = 80
MOST_SEEDS = 150
"""So many runs find each fault that is planted."""


def test_whatever_happens_everybody_sees_time_go_on():
    happened: Counter[str] = Counter()

    for seed in range(SEEDS):
        report = run(seed)
        assert report.violations == [], f"seed {seed}"
        happened += report.happened

    print(dict(sorted(happened.items())))
    expected = (
        "read at once",
        "store",
        "stale",
        "absent",
        "misses",
        "waits",
        "coalesced",
        "a drop unheard",
        "put late",
    )
    assert [name for name in (*expected, "an older copy", "a process restarted") if happened[name] < SEEDS / 2] == []


def test_a_seed_is_a_history():
    assert run(5) == run(5)


async def _put_without_token(self: LocalStore, key: str, entry: Entry, *, token: int) -> bool:
    self.entries[key] = entry
    return True


_drop = LocalStore.drop


async def _drop_that_keeps_loans(self: LocalStore, keys: Sequence[str], *, cause: str = "") -> None:
    loans = dict(self.loans)
    await _drop(self, keys, cause=cause)
    self.loans = loans


def _see_and_keep_what_is_older(self: Cache, name: str, version: int) -> None:
    self._seen[name] = max(version, self._seen.get(name, 0))


async def _ask_and_fail(self: Shared, question: Any) -> Any:
    return await question


async def _enter_at_once(self: Gate) -> None:
    self.inside += 1


def _forget_nothing(self: Cache, names: Sequence[str]) -> None:
    self.changes.tell(names)


async def _drop_once(self: Dropping) -> None:
    while self._pending:
        taken, self._pending = self._pending, {}
        for key, cause in taken.items():
            try:
                await self._store.drop([key], cause=cause)
            except CacheTrouble:
                continue
    self._task = None
    self._say_done()


PLANTED: dict[str, tuple[type, str, Callable[..., Any]]] = {
    "a store takes values without a token": (LocalStore, "put", _put_without_token),
    "a drop ends no loan": (LocalStore, "drop", _drop_that_keeps_loans),
    "memory is filled with what has changed meanwhile": (Changes, "is_changed", lambda self, tags, since: False),
    "who asks after a change shares what began before": (Changes, "last", lambda self, tag: 0),
    "the store is read while it has not been told": (Dropping, "is_pending", lambda self, key: False),
    "a drop that failed is not repeated": (Dropping, "_drop", _drop_once),
    "it is not known what was seen": (Cache, "seen", lambda self, name: 0),
    "memory keeps what is older than what was seen": (Cache, "see", _see_and_keep_what_is_older),
    "memory keeps what has changed": (Cache, "_forget", _forget_nothing),
    "memory is kept though changes may have been missed": (Cache, "forget_everything", lambda self: None),
    "trouble with the store reaches readers": (Shared, "_ask", _ask_and_fail),
    "the gate is open": (Gate, "__aenter__", _enter_at_once),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_fault_that_is_planted_is_found(fault: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(*PLANTED[fault])

    found = next((seed for seed in range(MOST_SEEDS) if run(seed).violations), None)

    assert found is not None, f"not found in {MOST_SEEDS} runs"
    print(f"found by run {found + 1}")
