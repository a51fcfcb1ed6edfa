"""What operators are told of the cache of a process, and what they may have it forget or read."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from hansa.kernel.clock import from_micros
from hansa.platform.cache.desk import MOST_DROPPED, CacheAway, CacheDesk
from hansa.platform.cache.hot import WINDOW_S
from hansa.platform.cache.hottest import Hottest
from hansa.platform.cache.office import CacheOffice
from hansa.platform.cache.port import CacheTrouble, Entry
from hansa.platform.cache.shelf import NOTED_EVERY
from hansa.platform.rpc.local import twice
from tests.clocks import START, ManualClock
from tests.platform.cache.local_store import LocalStore, check
from tests.platform.cache.processes import THINGS, Process, Truth

KEY = "{1}"
NAME = f"{THINGS.name}:{KEY}"
NOTHING = f"{THINGS.name}:{{2}}"


class Away(LocalStore):
    """A store that may be out of order; it counts what it was asked."""

    is_away = False

    async def read(self, keys: Sequence[str]) -> list[Entry | None]:
        self._ask()
        return await super().read(keys)

    async def drop(self, keys: Sequence[str], *, cause: str = "") -> None:
        self._ask()
        await super().drop(keys, cause=cause)

    async def names(self, prefix: str, *, limit: int) -> list[str]:
        self._ask()
        return await super().names(prefix, limit=limit)

    async def figures(self) -> dict[str, int]:
        self._ask()
        return await super().figures()

    def _ask(self) -> None:
        if self.is_away:
            raise CacheTrouble("gone fishing")


class World:
    """A process with a store, another one on the same store, and the desk of the first, each call of which is made
    twice."""

    def __init__(self, folder: Path, *, has_store: bool = True) -> None:
        self.clock = ManualClock()
        self.truth = Truth()
        self.truth.versions[KEY] = 7
        self.store = Away()
        store = self.store if has_store else None
        self.process = Process(self.truth, clock=self.clock, store=store, is_alone=not has_store)
        self.other = Process(self.truth, clock=self.clock, store=store, seed=2)
        self.hottest = Hottest(cache=self.process.cache, file=folder / "hottest.json")
        office = CacheOffice(cache=self.process.cache, hottest=self.hottest)
        self.desk: CacheDesk = twice(CacheDesk, office)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def embedded(tmp_path: Path) -> World:
    return World(tmp_path, has_store=False)


async def test_the_figures_say_what_became_of_reads(world: World):
    for _ in range(NOTED_EVERY + 1):
        await world.process.get(KEY)
    await world.process.get("{2}")

    figures = await world.desk.figures()

    [family] = figures.families
    counts = family.counts
    assert (family.family, counts.loads, counts.memory, counts.absent) == (THINGS.name, 2, NOTED_EVERY, 1)
    assert (figures.memory_keys, figures.store["keys"]) == (2, 2)
    assert (figures.breaker, figures.trouble, figures.pending, figures.is_deaf) == ("closed", 0, 0, False)
    assert (figures.loads_now, figures.loads_waiting, figures.most_loads) == (0, 0, 1)
    assert figures.hottest[0].name == NAME
    assert figures.hottest[0].reads_per_s == round((NOTED_EVERY + 1) / WINDOW_S, 1)


async def test_without_a_store_nothing_is_said_of_one(embedded: World):
    await embedded.process.get(KEY)

    figures = await embedded.desk.figures()
    found = await embedded.desk.inspect(name=NAME)

    assert (figures.breaker, figures.store, figures.memory_keys) == ("none", {}, 1)
    assert found.memory is not None
    assert found.store is None
    assert await embedded.desk.listed(prefix="tests.") == ()


async def test_what_memory_and_store_have_of_a_key_is_shown(world: World):
    await world.process.get(KEY)
    await world.process.get("{2}")

    found, absent = [await world.desk.inspect(name=name) for name in (NAME, NOTHING)]

    assert found.memory is not None
    assert found.store is not None
    assert 0 < found.memory.fresh_s <= found.memory.good_s
    assert (found.memory.is_absent, found.store.is_absent, found.store.version) == (False, False, 7)
    assert found.store.value == '{"version":7,"text":""}'
    assert found.store.made_at == START
    assert found.store.good_until == from_micros(world.store.entries[NAME].good_until)
    assert not found.is_pending
    assert absent.memory is not None
    assert absent.store is not None
    assert absent.memory.is_absent
    assert absent.store.is_absent


@pytest.mark.parametrize("name", ["nothing", "tests.things:{none}", "a b", "}", "x" * 200, "帽子"])
async def test_of_a_key_that_is_none_there_is_nothing(world: World, name: str):
    found = await world.desk.inspect(name=name)

    assert (found.memory, found.store, found.is_pending) == (None, None, False)


async def test_what_is_not_text_is_shown_all_the_same(world: World):
    await world.process.get(KEY)
    entry = world.store.entries[NAME]
    world.store.entries[NAME] = Entry(
        value=b"\xff\x00{",
        made_at=entry.made_at,
        fresh_until=entry.fresh_until,
        good_until=entry.good_until,
    )

    found = await world.desk.inspect(name=NAME)

    assert found.store is not None
    assert found.store.value == "\ufffd\x00{"


async def test_what_was_dropped_is_loaded_anew_by_every_process(world: World):
    assert [await process.get(KEY) for process in (world.process, world.other)] == [7, 7]
    world.truth.versions[KEY] = 8  # and nobody was told

    assert await world.desk.listed(prefix="tests.") == (NAME,)
    await world.desk.drop(key="a", names=(NAME,))

    assert await world.desk.listed(prefix="tests.") == ()
    assert [await process.get(KEY) for process in (world.process, world.other)] == [8, 8]


async def test_names_that_no_store_has_hinder_no_others(world: World):
    await world.process.get(KEY)

    await world.desk.drop(key="a", names=("a b", "帽子", NAME, "x y"))

    assert world.store.entries == {}
    with pytest.raises(ValueError, match="no key"):
        check(["a b"])


async def test_dropping_empties_the_memory_where_there_is_no_store(embedded: World):
    await embedded.process.get(KEY)

    await embedded.desk.drop(key="a", names=("no such",))

    assert (await embedded.desk.figures()).memory_keys == 0


async def test_a_store_that_is_away_is_said_to_be(world: World):
    await world.process.get(KEY)
    world.store.is_away = True

    assert (await world.desk.figures()).store == {}
    for ask in (
        world.desk.inspect(name=NAME),
        world.desk.listed(prefix="tests."),
        world.desk.drop(key="a", names=(NAME,)),
    ):
        with pytest.raises(CacheAway) as error:
            await ask
        assert error.value.reason == "gone fishing"
    assert await world.process.get(KEY) == 7


async def test_a_change_that_the_store_has_not_heard_of_is_pending(world: World):
    await world.process.get(KEY)
    world.store.is_away = True
    world.process.put(KEY, 8)
    await world.process.cache.quiet()
    world.store.is_away = False

    assert (await world.desk.figures()).pending == 1
    assert (await world.desk.inspect(name=NAME)).is_pending
    await world.process.cache.close()


async def test_only_so_many_keys_are_listed_at_once(world: World):
    entry = Entry(value=b"1", made_at=0, fresh_until=1, good_until=2)
    world.store.entries = {f"tests.many:{{{number}}}": entry for number in range(MOST_DROPPED + 5)}

    listed = await world.desk.listed(prefix="tests.many:")

    assert len(listed) == MOST_DROPPED


async def test_keys_are_warmed_by_name_and_what_is_no_key_is_passed_over(world: World):
    names = (NAME, NOTHING, "tests.things:1", "no.such:{1}", "nonsense", "}")

    assert await world.desk.warm(key="a", names=names) == 1
    assert await world.desk.hottest() == (NAME, NOTHING)
    assert set(world.store.entries) == {NAME, NOTHING}
