"""An index comes to what the tables hold, also where clocks were wrong, in bounded time; then it rests."""

from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hansa.services.search.service import comparing
from tests.clocks import START, ManualClock
from tests.services.search.catalogue import SHOP, draft, usd, variant
from tests.services.search.conftest import World, opened_world

HAT = draft("hat", "Felt hat", price=1000)
LONG_S = 100.0
"""Longer than an index looks back."""
HOUR_S = 3600.0


class Processes:
    """On the same tables, each with an index and a clock of its own."""

    def __init__(self, first: World) -> None:
        self._first = first
        self.opened: list[World] = []

    def open(self, *, ahead_s: float = 0) -> World:
        first = self._first
        world = World(
            database=first.database,
            folder=first.folder / f"process-{len(self.opened)}",
            clock=ManualClock(start=START + timedelta(seconds=HOUR_S + ahead_s)),
            ids=first.ids,
            ids_by_slug=first.ids_by_slug,
        )
        self.opened.append(world)
        return world


@pytest.fixture
async def processes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Processes]:
    async for first in opened_world(request, tmp_path):
        processes = Processes(first)
        yield processes
        for world in processes.opened:
            await world.service.close()


async def _edited(world: World) -> None:
    await world.put(draft("hat", "Straw trilby", price=500), version=2)


async def _archived(world: World) -> None:
    await world.put(msgspec.structs.replace(HAT, status="archived"), version=2)


async def _sold_out(world: World) -> None:
    await world.hear(world.flip_event("hat", "HAT", False, version=2))


async def _added(world: World) -> None:
    await world.put(draft("cap", "Flat cap"))


async def _found(world: World) -> list[list[str]]:
    """By words and by what can be had: what is shown of a product comes from the tables, so it proves nothing."""
    return [await world.slugs("felt"), await world.slugs("trilby"), await world.slugs(sort="newest", in_stock=True)]


EDITS: dict[Callable[[World], Coroutine[Any, Any, None]], list[list[str]]] = {
    _edited: [[], ["hat"], ["hat"]],
    _archived: [[], [], []],
    _sold_out: [["hat"], [], []],
    _added: [["hat"], [], ["cap", "hat"]],
}


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__.strip("_"))
async def test_what_a_process_with_a_late_clock_has_heard_is_found_when_its_turn_has_come(
    processes: Processes, edit: Callable[[World], Coroutine[Any, Any, None]]
) -> None:
    late, right = processes.open(ahead_s=-LONG_S), processes.open()
    await late.put(HAT)
    await _time_passes(LONG_S, late, right)

    await edit(late)
    await _time_passes(comparing.EVERY_S, late, right)

    assert await _found(right) == EDITS[edit]


async def test_a_clock_that_was_ahead_and_is_put_right_has_kept_nothing_from_the_index(
    processes: Processes,
) -> None:
    right, ahead = processes.open(), processes.open(ahead_s=HOUR_S)
    await right.put(HAT)
    await ahead.service.catch_up()
    await _edited(right)
    right.clock.advance(LONG_S)
    ahead.clock.advance(LONG_S - comparing.EVERY_S)  # its last look before; the next page is not due yet

    ahead.clock.set_back(HOUR_S)
    await ahead.service.catch_up()

    assert await _found(ahead) == EDITS[_edited]


async def test_nor_has_a_clock_that_was_put_right_while_the_process_was_down(processes: Processes) -> None:
    right, ahead = processes.open(), processes.open(ahead_s=HOUR_S)
    await right.put(HAT)
    await ahead.service.catch_up()
    await ahead.service.close()
    await _edited(right)
    ahead.clock.set_back(HOUR_S)
    ahead.clock.advance(LONG_S)
    ahead.open()
    await ahead.service.catch_up()

    assert await _found(ahead) == EDITS[_edited]


async def test_all_that_was_missed_is_put_within_one_round_a_page_at_a_time(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "PAGE", 2)
    right = await _behind_by_a_shop(processes)

    put = []
    for _ in range(len(SHOP) // 2 + 1):
        right.clock.advance(comparing.EVERY_S)
        put += [await right.service.keeping.catch_up(), await right.service.keeping.catch_up()]

    assert max(put) <= 2
    assert sum(put) == len(SHOP)
    assert (await right.find("edited")).total == len(SHOP)


async def test_a_clock_set_back_makes_the_round_hurry_in_bounded_steps(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "PAGE", 2)
    right = await _behind_by_a_shop(processes)

    right.clock.set_back(1)
    put = [await right.service.keeping.catch_up() for _ in range(5)]

    assert max(put) <= 2 * comparing.HURRIED_PAGES
    assert sum(put) == len(SHOP)


async def test_news_from_the_future_make_the_round_hurry(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "PAGE", 2)
    right, ahead = await _behind_by_a_shop(processes), processes.open(ahead_s=HOUR_S)

    await _added(ahead)
    put = [await right.service.keeping.catch_up() for _ in range(6)]

    assert sum(put) == len(SHOP) + 1
    assert put[-1] == 0


async def test_a_hurried_round_ends_and_the_next_one_takes_its_time(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "PAGE", 2)
    right = await _behind_by_a_shop(processes)
    right.clock.set_back(1)
    for _ in range(10):
        await right.service.catch_up()

    await _edit_all(right, processes.open(ahead_s=-LONG_S * 10), version=3)
    put = [await right.service.keeping.catch_up() for _ in range(10)]

    assert sum(put) == 0


async def test_an_index_that_lacks_nothing_is_never_written(world: World) -> None:
    hats = [draft("hat", "Felt hat"), draft("cap", "Flat cap", status="archived"), draft("beret", "Beret")]
    await world.hear(world.flip_event("boater", "BOATER", False, version=7))  # before its product, which never comes
    await world.put(*hats)
    await world.hear(
        *(world.flip_event("hat", "HAT", flag, version=version) for version, flag in ((5, False), (6, True)))
    )
    await world.put(draft("hat", "Felt hat, brown"), version=2)
    world.clock.advance(LONG_S)
    await world.service.catch_up()
    before = await _written(world)

    for _ in range(20):
        world.clock.advance(comparing.EVERY_S)
        await world.service.catch_up()
    assert await _written(world) == before

    await world.service.close()
    world.open()
    await world.service.catch_up()  # puts once more what came just before the last commit
    before = await _written(world)
    world.clock.set_back(1)
    await world.service.catch_up()
    assert await _written(world) == before


async def test_an_index_built_anew_is_what_the_tables_hold(shop: World) -> None:
    await shop.service.keeping.build(lambda done, total: None)
    before = await _written(shop)

    shop.clock.advance(comparing.EVERY_S)
    await shop.service.catch_up()

    assert await _written(shop) == before


async def test_looking_back_goes_on_after_the_clock_was_set_back(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "EVERY_S", HOUR_S)
    late, right = processes.open(ahead_s=-5), processes.open()
    await late.put(HAT)
    await _time_passes(LONG_S, late, right)
    for world in (late, right):
        world.clock.set_back(HOUR_S / 2)
    await _time_passes(LONG_S, late, right)

    await _edited(late)
    await _time_passes(15, late, right)

    assert await _found(right) == EDITS[_edited]


async def test_a_price_that_began_by_a_clock_that_is_ahead_begins_everywhere(processes: Processes) -> None:
    right, ahead = processes.open(), processes.open(ahead_s=30)
    sale = usd(300, valid_from=right.clock.now() + timedelta(seconds=10))
    await right.put(draft("hat", "Felt hat", variants=(variant("HAT", prices=(usd(1000), sale)),)))
    assert await right.slugs(price_max=400) == []

    await ahead.service.catch_up()  # notes it, so that nobody else will
    await right.service.catch_up()
    await _time_passes(LONG_S, right)

    assert await right.slugs(price_max=400) == ["hat"]


async def _behind_by_a_shop(processes: Processes) -> World:
    """A process whose index has heard of all products, and of no edit of them."""
    late, right = processes.open(ahead_s=-LONG_S * 10), processes.open()
    await late.put(*SHOP)
    await right.service.catch_up()
    await _time_passes(LONG_S, right)
    await _edit_all(right, late, version=2)
    return right


async def _edit_all(right: World, late: World, *, version: int) -> None:
    """By a process with a late clock; for the one that is right it is not time for a page."""
    right.clock.advance(comparing.EVERY_S)
    await right.service.catch_up()
    await late.put(*(draft(each.slug, "Edited hat") for each in SHOP), version=version)
    assert await right.service.keeping.catch_up() == 0


async def _time_passes(seconds: float, *worlds: World) -> None:
    """In steps in which an index catches up, on all clocks."""
    for _ in range(int(seconds)):
        for world in worlds:
            world.clock.advance(1)
            await world.service.catch_up()


async def _written(world: World) -> tuple[int, int]:
    index = await world.service.keeping.opened()
    return index.generation, index.put_singly
