"""Ranges of slots: shared out fairly, taken over from the dead, and let go of by those who leave."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hansa.kernel.ids import SLOTS, Ids
from hansa.platform.database.platform_tables import service_metadata
from hansa.platform.database.port import Database
from hansa.platform.leases.ranges import EACH, HELD, RANGES, RENEW_EVERY_S, SlotRanges
from tests import databases
from tests.clocks import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite", "postgres"])
async def database(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Database]:
    dsn = request.getfixturevalue("postgres_dsn") if request.param == "postgres" else None
    async with databases.opened(
        engine=request.param,
        name="leases",
        metadata=service_metadata(),
        folder=tmp_path,
        dsn=dsn,
        clock=clock,
        ids=Ids(clock=clock),
    ) as opened:
        yield opened


class Crowd:
    """Processes that renew in turn."""

    def __init__(self, database: Database, clock: ManualClock, *names: str) -> None:
        self._database = database
        self._clock = clock
        self.alive = {name: self._new(name) for name in names}

    def _new(self, name: str) -> SlotRanges:
        return SlotRanges(database=self._database, name="relay", holder=name, clock=self._clock)

    def join(self, name: str) -> None:
        self.alive[name] = self._new(name)

    async def renew(self, times: int = 1) -> None:
        for _ in range(times):
            for ranges in self.alive.values():
                await ranges.renew()
            self._clock.advance(RENEW_EVERY_S)

    @property
    def shares(self) -> list[int]:
        return [len(ranges.held) for ranges in self.alive.values()]

    def is_all_held_once(self) -> bool:
        held = sorted(each for ranges in self.alive.values() for each in ranges.held)
        return held == [(first, first + EACH - 1) for first in range(0, SLOTS, EACH)]


async def test_one_alone_holds_everything(database: Database, clock: ManualClock):
    crowd = Crowd(database, clock, "one")

    await crowd.renew()

    assert crowd.is_all_held_once()


async def test_those_who_come_get_their_share(database: Database, clock: ManualClock):
    crowd = Crowd(database, clock, "one")
    await crowd.renew()

    for name, shares in (("two", [4, 4]), ("three", [2, 3, 3]), ("four", [2, 2, 2, 2])):
        crowd.join(name)
        await crowd.renew(3)
        assert sorted(crowd.shares) == shares
        assert crowd.is_all_held_once()


async def test_no_range_is_held_by_two_at_once(database: Database, clock: ManualClock):
    crowd = Crowd(database, clock, "one")
    await crowd.renew()

    for number in range(12):
        crowd.join(f"joined {number}")
        for ranges in crowd.alive.values():
            await ranges.renew()
            held = [each for other in crowd.alive.values() for each in other.held]
            assert len(held) == len(set(held)) <= RANGES
        clock.advance(RENEW_EVERY_S)


async def test_what_the_dead_held_goes_to_the_living(database: Database, clock: ManualClock):
    crowd = Crowd(database, clock, "one", "two")
    await crowd.renew(2)

    dead = crowd.alive.pop("two")
    await crowd.renew(1 + int(HELD.total_seconds() / RENEW_EVERY_S))

    assert crowd.is_all_held_once()
    assert dead.held == ()


async def test_a_lease_of_a_clock_that_was_ahead_binds_nobody(database: Database, clock: ManualClock):
    crowd = Crowd(database, clock, "one")
    clock.set_back(-3600)
    await crowd.renew()
    clock.set_back(3600)
    crowd.alive.pop("one")

    crowd.join("two")
    await crowd.renew()

    assert crowd.is_all_held_once()


async def test_what_somebody_leaves_is_free_at_once(database: Database, clock: ManualClock):
    crowd = Crowd(database, clock, "one", "two")
    await crowd.renew(2)

    await crowd.alive.pop("two").leave()
    await crowd.renew()

    assert crowd.is_all_held_once()


async def test_who_cannot_renew_holds_nothing_any_more(database: Database, clock: ManualClock):
    crowd = Crowd(database, clock, "one")
    await crowd.renew()

    clock.advance(HELD.total_seconds())

    assert crowd.shares == [0]
