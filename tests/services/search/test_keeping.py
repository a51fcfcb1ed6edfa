"""The index keeps in step with what is heard, in whatever order, and comes back whatever happens to its files."""

import random
import shutil
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hansa.kernel.errors import Fault
from hansa.services.search.rules.words import dictionary_uses, tokens
from hansa.services.search.service.index import FORMAT, INDEX_FOLDER, STATE_FILE, VALUES_FILE, ProductIndex
from tests.services.search.catalogue import SHOP, draft, usd, variant
from tests.services.search.conftest import World, opened_world, slugs

HAT = draft("hat", "Felt hat", price=1000)


async def test_a_product_is_found_once_it_was_heard_of(world: World) -> None:
    assert await world.slugs("hat") == []

    await world.put(HAT)

    assert await world.slugs("hat") == ["hat"]


async def test_an_edit_is_found_and_what_it_replaced_is_not(world: World) -> None:
    await world.put(HAT)
    await world.put(draft("hat", "Straw trilby", price=500), version=2)

    assert await world.slugs("felt") == []
    [found] = (await world.find("trilby")).items
    assert (found.name, found.price_from and found.price_from.amount) == ("Straw trilby", 500)


async def test_an_archived_product_vanishes_and_comes_back(world: World) -> None:
    await world.put(HAT)
    await world.put(msgspec.structs.replace(HAT, status="archived"), version=2)
    assert (await world.find("hat")).total == (await world.find()).total == 0

    await world.put(HAT, version=3)
    assert await world.slugs("hat") == ["hat"]


async def test_older_news_that_come_later_change_nothing(world: World) -> None:
    new = world.put_event(world.record(draft("hat", "New hat"), version=3))
    old = world.put_event(world.record(draft("hat", "Old hat"), version=2))

    await world.hear(new)
    await world.hear(old)

    assert [item.name for item in (await world.find("hat")).items] == ["New hat"]


async def test_availability_may_come_before_the_product_twice_and_in_any_order(world: World) -> None:
    flips = [world.flip_event("hat", "HAT", flag, version=version) for version, flag in ((2, False), (3, True))]
    for event in (flips[1], flips[0], flips[1]):
        await world.hear(event)
    await world.put(HAT, sold_out=True)  # which knows of version 1 only

    assert [item.available for item in (await world.find("hat")).items] == [True]
    await world.hear(world.flip_event("hat", "HAT", False, version=4))
    assert [item.available for item in (await world.find("hat")).items] == [False]
    assert await world.slugs("hat", in_stock=True) == []


@pytest.mark.parametrize("seed", range(6))
async def test_all_orders_of_all_news_come_to_the_same(world: World, seed: int) -> None:
    names = ["First hat", "Second hat", "Third hat"]
    news = [
        world.put_event(world.record(draft("hat", name), version=version, sold_out=True))
        for version, name in enumerate(names, 1)
    ]
    news += [world.flip_event("hat", "HAT", version % 2 == 1, version=version) for version in range(2, 6)]
    random.Random(seed).shuffle(news)
    while news:
        batch, news = news[: seed % 3 + 1], news[seed % 3 + 1 :]
        await world.hear(*batch)
        await world.hear(*batch)

    [found] = (await world.find("hat")).items
    assert (found.name, found.available) == ("Third hat", True)


async def test_prices_begin_and_end_by_the_clock(world: World) -> None:
    begins, ends = world.clock.now() + timedelta(hours=1), world.clock.now() + timedelta(hours=2)
    sale = usd(300, valid_from=begins, valid_to=ends)
    await world.put(draft("hat", "Felt hat", variants=(variant("HAT", prices=(usd(1000), sale)),)))
    await world.put(draft("cap", "Felt cap", price=500))

    seen = []
    for hours in (0, 1.5, 2.5):
        world.clock.advance(hours * 3600 - (world.clock.monotonic() if hours else 0))
        await world.service.catch_up()
        found = await world.find("felt", sort="price_up")
        seen.append((slugs(found), [item.price_from and item.price_from.amount for item in found.items]))
    assert seen == [
        (["cap", "hat"], [500, 1000]),
        (["hat", "cap"], [300, 500]),
        (["cap", "hat"], [500, 1000]),
    ]


# Starting again


async def test_a_new_process_finds_what_the_last_one_had_put(world: World) -> None:
    await world.put(HAT)
    await world.service.close()
    world.open()

    assert await world.slugs("hat") == ["hat"]


async def test_what_was_heard_and_not_put_before_a_crash_is_put_at_the_next_start(world: World) -> None:
    await world.put(HAT)
    event = world.put_event(world.record(draft("cap", "Flat cap")))
    await world.service.close()  # the row is written by a process that dies before its index has heard
    async with world.database.write(event.slot) as tx:
        await world.service.hear(tx, records=[world.record(draft("cap", "Flat cap"))])
    world.open()
    await world.service.catch_up()

    assert await world.slugs("cap") == ["cap"]


def _gone(folder: Path) -> None:
    shutil.rmtree(folder)


def _emptied(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_bytes(b"")


def _scribbled(folder: Path) -> None:
    for path in (*folder.rglob("*.term"), *folder.rglob("*.idx"), *folder.rglob("meta.json")):
        path.write_bytes(b"\xff" * 64)


def _without_values(folder: Path) -> None:
    for path in folder.rglob(VALUES_FILE):
        path.unlink()


def _of_an_older_format(folder: Path) -> None:
    for path in folder.rglob(STATE_FILE):
        path.write_bytes(path.read_bytes().replace(b'"format":%d' % FORMAT, b'"format":0'))


def _pointing_nowhere(folder: Path) -> None:
    (folder / "current").write_bytes(b"../../../etc\xff")


def _never_finished(folder: Path) -> None:
    for path in folder.rglob(STATE_FILE):
        path.unlink()


@pytest.mark.parametrize(
    "damage",
    [_gone, _emptied, _scribbled, _without_values, _of_an_older_format, _pointing_nowhere, _never_finished],
    ids=lambda damage: damage.__name__.strip("_"),
)
async def test_damaged_files_are_built_anew_from_the_tables_at_the_start(
    request: pytest.FixtureRequest, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    async for world in opened_world(request, tmp_path):
        await world.put(*SHOP)
        await world.service.close()
        damage(world.folder)
        world.open()

        assert isinstance(await world.slugs("hat"), list)  # answered, be it with nothing yet
        await world.service.catch_up()

        assert (await world.find()).total == len(SHOP)
        assert await world.slugs("felt hat") == ["felt-hat"]
        assert (await world.search.building()).products == len(SHOP)


async def test_files_damaged_under_a_running_process_are_built_anew(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def __getattr__(self, name: str) -> None:
            raise OSError("the files are gone")

    index = await shop.service.keeping.opened()
    finding, _ = await shop.service.ready()
    monkeypatch.setattr(finding, "_searcher", Broken())
    monkeypatch.setattr(index, "searcher", Broken())
    with pytest.raises(Fault):
        await shop.find("hat")
    await shop.service.restoring.quiet()

    assert await shop.slugs("felt hat") == ["felt-hat"]
    assert not index.folder.exists()


async def test_a_mistake_of_ours_is_not_taken_for_damage(shop: World, monkeypatch: pytest.MonkeyPatch) -> None:
    finding, _ = await shop.service.ready()
    monkeypatch.setattr(finding, "_searcher", None)
    before = await shop.service.keeping.opened()
    with pytest.raises(AttributeError):
        await shop.find("hat")

    assert await shop.service.keeping.opened() is before


# Building anew


async def test_a_rebuilding_takes_the_truth_from_products(world: World) -> None:
    await world.put(HAT, draft("cap", "Flat cap"))
    world.products.truth = [world.record(draft("hat", "True hat")), world.record(draft("beret", "Beret"))]

    await world.rebuilt()

    assert [item.name for item in (await world.find("hat")).items] == ["True hat"]
    assert await world.slugs("beret") == ["beret"]
    building = await world.search.building()
    assert (building.is_running, building.failure, building.done) == (False, None, building.total)
    assert building.products == (await world.find()).total


async def test_while_an_index_is_built_the_old_one_answers_and_no_edit_is_lost(shop: World) -> None:
    shop.products.truth = [shop.record(each) for each in SHOP]
    answered = []
    original = shop.products.records

    async def records(**asked: Any) -> object:
        page = await original(**asked)
        answered.append((await shop.find()).total)
        if len(answered) == 2:
            edit = shop.put_event(shop.record(draft("felt-hat", "Edited meanwhile"), version=2))
            await shop.hear(edit)
        return page

    shop.products.records = records  # type: ignore[method-assign, assignment]
    await shop.rebuilt()

    assert answered == [len(SHOP)] * (len(SHOP) // 2)
    assert await shop.slugs("edited meanwhile") == ["felt-hat"]
    assert await shop.slugs("felt") == []
    assert (await shop.find()).total == len(SHOP)
    assert len(list(shop.folder.glob("index-*"))) == 1


async def test_a_rebuilding_that_fails_leaves_the_old_index(shop: World) -> None:
    async def broken(**asked: Any) -> object:
        raise Fault("no answer")

    shop.products.records = broken  # type: ignore[method-assign, assignment]
    await shop.rebuilt()

    assert "no answer" in ((await shop.search.building()).failure or "")
    assert await shop.slugs("felt hat") == ["felt-hat"]


async def test_the_same_key_rebuilds_once(shop: World) -> None:
    await shop.search.rebuild(key="once")
    first = shop.service.rebuilding
    assert first is not None
    await first
    await shop.search.rebuild(key="once")

    assert shop.service.rebuilding is first


async def test_an_index_in_many_pieces_is_built_anew_when_it_rests(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hansa.services.search.service.keeping.LEAST_FOR_COMPACTION", 3)
    async for world in opened_world(request, tmp_path):
        await world.service.catch_up()
        for each in SHOP:
            await world.put(each)
        pieces = (await world.service.keeping.opened()).segments
        await world.service.compact()
        assert (await world.service.keeping.opened()).segments == pieces > 1  # edits have not come to rest

        world.clock.advance(60)
        await world.service.compact()

        index = await world.service.keeping.opened()
        assert (index.segments, index.products) == (1, len(SHOP))
        assert (index.folder / INDEX_FOLDER).is_dir()
        assert await world.slugs("felt hat") == ["felt-hat"]


@pytest.fixture
async def two(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[World, World]]:
    """Two processes on the same tables, each with an index of its own."""
    async for one in opened_world(request, tmp_path):
        other = World(
            database=one.database, folder=tmp_path / "other", clock=one.clock, ids=one.ids, ids_by_slug=one.ids_by_slug
        )
        yield one, other
        await other.service.close()


async def test_every_process_keeps_an_index_of_its_own_in_step(two: tuple[World, World]) -> None:
    one, other = two
    assert await other.slugs("hat") == []
    await one.put(HAT)
    await other.service.catch_up()
    assert await other.slugs("hat") == ["hat"]

    await one.put(draft("hat", "Straw trilby"), version=2)
    one.clock.advance(3)
    await other.service.catch_up()
    assert await other.slugs("trilby") == ["hat"]
    assert [item.name for item in (await other.find("trilby")).items] == ["Straw trilby"]


class _Panicked:
    """A writer that has lost a thread to a full disk."""

    def wait_merging_threads(self) -> None:
        raise ValueError("Worker thread failed")


def test_an_index_whose_writer_met_a_full_disk_can_be_closed(tmp_path: Path):
    index = ProductIndex(folder=tmp_path, currencies=("USD",))
    index.close()
    index._writer = _Panicked()  # type: ignore[assignment]

    index.close()


async def test_the_chinese_dictionary_goes_when_nobody_has_used_it_for_a_while(world: World) -> None:
    tokens("高效能系列")
    await world.service.let_go()
    tokens("高效能笔记本")
    await world.service.let_go()
    assert dictionary_uses() > 0, "somebody used it since the last time"

    await world.service.let_go()
    assert dictionary_uses() == 0
