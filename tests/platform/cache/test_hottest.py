"""The keys that are read most often are read before anybody asks: at a bounded rate, and for a bounded time."""

import asyncio
import json
from pathlib import Path

import pytest

from hansa.platform.cache import hottest as module
from hansa.platform.cache.families import Loaded
from hansa.platform.cache.hottest import LONGEST_S, MOST, NOTED_EVERY_S, RATE_PER_S, Hottest
from hansa.platform.cache.port import LONGEST_KEY
from hansa.platform.cache.shelf import NOTED_EVERY, Shelf
from tests.clocks import ManualClock
from tests.platform.cache.processes import THINGS, Process, Thing, Truth


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "hottest.json"


def process(clock: ManualClock, *, things: int = 0) -> Process:
    """A process, and so many things in the truth behind it."""
    truth = Truth()
    truth.versions = {f"{{{number}}}": 1 for number in range(things)}
    return Process(truth, clock=clock, is_alone=True)


def names(count: int) -> list[str]:
    return [f"{THINGS.name}:{{{number}}}" for number in range(count)]


async def test_what_was_read_is_read_anew_by_the_next_process_the_most_often_read_first(clock: ManualClock, file: Path):
    before, after = process(clock, things=3), process(clock, things=3)
    for key, times in (("{2}", 2 * NOTED_EVERY + 1), ("{0}", NOTED_EVERY + 1), ("{1}", 1)):
        for _ in range(times):
            await before.get(key)
    await Hottest(cache=before.cache, file=file).note()

    warming = asyncio.create_task(Hottest(cache=after.cache, file=file).warm())
    await clock.pass_time(1)

    assert await warming == 3
    assert after.truth.asked == ["{2}", "{0}", "{1}"]
    assert [await after.get(f"{{{number}}}") for number in range(3)] == [1, 1, 1]
    assert len(after.truth.asked) == 3


async def test_keys_are_read_at_a_bounded_rate(clock: ManualClock, file: Path):
    fresh = process(clock, things=MOST)
    file.write_text(json.dumps(names(MOST)))
    warming = asyncio.create_task(Hottest(cache=fresh.cache, file=file).warm())

    read = []
    for _ in range(5):
        await clock.pass_time(0.1)
        read.append(len(fresh.truth.asked))

    assert read[0] >= 1
    assert all(count <= RATE_PER_S * 0.1 * (number + 1) + 1 for number, count in enumerate(read))
    assert read[-1] >= RATE_PER_S * 0.5 - 1
    warming.cancel()


async def test_a_start_waits_for_a_bounded_time(clock: ManualClock, file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "RATE_PER_S", 10.0)
    fresh = process(clock, things=MOST)
    file.write_text(json.dumps(names(MOST)))
    warming = asyncio.create_task(Hottest(cache=fresh.cache, file=file).warm())
    await clock.pass_time(LONGEST_S + 1)

    assert warming.done()
    assert 10 * LONGEST_S - 1 <= await warming <= 10 * LONGEST_S + 2


async def test_a_start_does_not_wait_for_a_database_that_hangs(
    clock: ManualClock, file: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "LONGEST_S", 0.05)
    fresh = process(clock, things=3)
    fresh.truth.hold = asyncio.Event()
    file.write_text(json.dumps(names(3)))

    assert await Hottest(cache=fresh.cache, file=file).warm() == 0

    fresh.truth.hold.set()
    assert await fresh.get("{1}") == 1


async def test_a_database_that_fails_hinders_no_start(clock: ManualClock, file: Path):
    fresh = process(clock, things=3)
    fresh.truth.fails = True
    file.write_text(json.dumps(names(3)))
    warming = asyncio.create_task(Hottest(cache=fresh.cache, file=file).warm())
    await clock.pass_time(1)

    assert await warming == 0
    assert len(fresh.truth.asked) == 3


async def test_what_can_be_no_key_of_a_family_is_passed_over(clock: ManualClock, file: Path):
    fresh = process(clock, things=2)
    forms = Shelf(fresh.cache, THINGS_IN_FORMS, load=nothing, forms=("en", "de"))
    strange = [
        "",
        ":",
        "{1}",
        "no.such.family:{1}",
        THINGS.name,
        f"{THINGS.name}:",
        f"{THINGS.name}:1",
        f"{THINGS.name}:{{}}",
        f"{THINGS.name}:{{1}}:en",
        f"{THINGS.name}:{{1",
        f"{THINGS.name}:{{{'9' * LONGEST_KEY}}}",
        f"{THINGS_IN_FORMS.name}:{{1}}",
        f"{THINGS_IN_FORMS.name}:{{1}}:fr",
        "\x00",
        "帽子",
    ]
    file.write_text(json.dumps([*strange, *names(2), f"{THINGS_IN_FORMS.name}:{{1}}:de"]))
    hottest = Hottest(cache=fresh.cache, file=file)

    assert [*hottest.names()] == [*names(2), f"{THINGS_IN_FORMS.name}:{{1}}:de"]
    assert [await hottest.read(name) for name in strange] == [False] * len(strange)
    assert fresh.truth.asked == []
    assert forms.counts.loads == 0


THINGS_IN_FORMS = type(THINGS)(name="tests.forms", type=Thing)


async def nothing(key: str) -> Loaded[Thing]:
    return Loaded(value=None)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'["a', b"\xff", b"[" * 100_000, b'["' + b"x" * 10**7 + b'"]'])
async def test_a_damaged_file_says_nothing_and_is_replaced(clock: ManualClock, file: Path, content: bytes):
    fresh = process(clock, things=1)
    file.write_bytes(content)
    hottest = Hottest(cache=fresh.cache, file=file)

    assert hottest.names() == ()
    assert await hottest.warm() == 0
    await hottest.note()
    assert file.read_bytes() == content
    await fresh.get("{0}")
    await hottest.note()
    assert json.loads(file.read_bytes()) == names(1)


async def test_of_more_keys_than_are_remembered_the_latest_stay(clock: ManualClock, file: Path):
    fresh = process(clock, things=2 * MOST)
    file.write_text(json.dumps(names(2 * MOST)))
    hottest = Hottest(cache=fresh.cache, file=file)
    await fresh.get(f"{{{2 * MOST - 1}}}")
    await hottest.note()

    noted = json.loads(file.read_bytes())
    assert noted[0] == f"{THINGS.name}:{{{2 * MOST - 1}}}"
    assert len(noted) == MOST


async def test_what_was_read_between_two_notes_is_not_forgotten(clock: ManualClock, file: Path):
    """Nor what was read before: it makes room only for what is read now."""
    fresh = process(clock, things=3)
    hottest = Hottest(cache=fresh.cache, file=file)
    for number in range(3):
        await fresh.get(f"{{{number}}}")
        clock.advance(NOTED_EVERY_S)
        await hottest.note()

    assert sorted(json.loads(file.read_bytes())) == names(3)


async def test_the_file_is_written_only_when_there_is_something_new_to_say(clock: ManualClock, file: Path):
    fresh = process(clock, things=1)
    hottest = Hottest(cache=fresh.cache, file=file)
    await hottest.note()
    assert not file.exists()
    await fresh.get("{0}")
    await hottest.note()
    written = file.stat().st_mtime_ns, file.stat().st_ino

    await hottest.note()

    assert (file.stat().st_mtime_ns, file.stat().st_ino) == written
