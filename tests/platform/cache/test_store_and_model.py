"""Whatever is done to a store, in any order and by two processes: it answers as the one in this process does."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.platform.cache.port import Store
from tests.platform.cache.local_store import LocalStore
from tests.platform.cache.parts import Part, entry
from tests.platform.cache.stores import OPENED

NOW = 1_700_000_000_000_000
SECOND = 1_000_000
LOAN_S = 60.0
PLACES = ("thing:{%d}:a", "thing:{%d}:b", "plain-%d")
_examples = itertools.count(1)

place = st.sampled_from(PLACES)
step = st.one_of(
    st.tuples(st.just("lend"), place, st.integers(0, 200)),
    st.tuples(st.just("put"), place, st.integers(0, 5), st.integers(0, 4)),
    st.tuples(st.just("give back"), place, st.integers(0, 5)),
    st.tuples(st.just("drop"), st.lists(place, max_size=3), st.just("")),
    st.tuples(st.just("drop"), st.lists(place, max_size=3), st.sampled_from(["", "one", "two"])),
)
"""A process lends at a moment (in seconds); puts with one of the last tokens that it, or the other one, was given, or
with none that was ever given; and so on."""


@pytest.fixture(params=sorted(OPENED.keys() - {"local"}))
async def part(request: pytest.FixtureRequest) -> AsyncIterator[Part]:
    async with OPENED[request.param](request) as part:
        yield part


class Both:
    """A step is done to a store and to the model of it, and must have the same outcome."""

    def __init__(self, stores: list[Store]) -> None:
        self._stores = stores
        self._model = LocalStore()
        self._number = next(_examples)
        self._tokens: dict[str, list[tuple[int, int]]] = {place: [(1, 0)] for place in PLACES}
        self._causes: set[str] = set()

    async def do(self, process: int, step: tuple[Any, ...]) -> None:
        store = self._stores[process]
        match step:
            case ("lend", place, second):
                now = NOW + second * SECOND
                lent = await store.lend(self._key(place), now=now, for_s=LOAN_S)
                expected = await self._model.lend(self._key(place), now=now, for_s=LOAN_S)
                assert (lent.token is None) == (expected.token is None)
                if lent.token is not None and expected.token is not None:
                    self._tokens[place].append((lent.token, expected.token))
            case ("put", place, age, version):
                token, expected_token = self._token(place, age)
                new = entry(b'{"version":%d,"age":%d}' % (version, age), version=version)
                is_kept = await store.put(self._key(place), new, token=token)
                assert is_kept == await self._model.put(self._key(place), new, token=expected_token)
            case ("give back", place, age):
                token, expected_token = self._token(place, age)
                await store.give_back(self._key(place), token=token)
                await self._model.give_back(self._key(place), token=expected_token)
            case ("drop", places, cause):
                cause = "" if cause in self._causes else cause  # a repetition may drop, or not
                self._causes.add(cause)
                await store.drop([self._key(place) for place in places], cause=cause)
                await self._model.drop([self._key(place) for place in places], cause=cause)
        await self.compare()

    async def compare(self) -> None:
        keys = [self._key(place) for place in PLACES]
        expected = await self._model.read(keys)
        for store in self._stores:
            assert await store.read(keys) == expected

    def _key(self, place: str) -> str:
        return place % self._number

    def _token(self, place: str, age: int) -> tuple[int, int]:
        """One of the last, the newest first; or one of nobody."""
        tokens = self._tokens[place]
        return tokens[-1 - min(age, len(tokens) - 1)]


@given(steps=st.lists(st.tuples(st.integers(0, 1), step), max_size=30))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_it_does_as_the_model_does(part: Part, steps: list[tuple[int, tuple[Any, ...]]]) -> None:
    stores = [await part.store(), await part.store()]
    both = Both(stores)

    for process, step in steps:
        await both.do(process, step)
    for store in stores:
        await store.close()
