"""Blocks of ids: no two processes make ids in the same one, and who has lost his makes none."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hansa.kernel.ids import SEQUENCES, BlockLost, Ids
from hansa.platform.database.platform_tables import service_metadata
from hansa.platform.database.port import Database
from hansa.platform.leases.blocks import BLOCKS, EACH, GRACE, HELD, NoBlockLeft, SequenceBlock
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
        name="blocks",
        metadata=service_metadata(),
        folder=tmp_path,
        dsn=dsn,
        clock=clock,
        ids=Ids(clock=clock),
    ) as opened:
        yield opened


class Process:
    """One that makes ids."""

    def __init__(self, database: Database, clock: ManualClock, name: str) -> None:
        self.ids = Ids(clock=clock)
        self.block = SequenceBlock(database=database, holder=name, ids=self.ids, clock=clock)

    def made(self, count: int = 3 * EACH) -> set[str]:
        return {self.ids.new(slot=7) for _ in range(count)}


async def started(database: Database, clock: ManualClock, name: str) -> Process:
    process = Process(database, clock, name)
    await process.block.take()
    return process


async def test_processes_that_share_a_database_never_make_the_same_id(database: Database, clock: ManualClock):
    processes = [await started(database, clock, str(number)) for number in range(5)]

    made = [process.made() for process in processes]
    clock.advance(0.001)
    made += [process.made() for process in processes]

    assert len(set().union(*made)) == sum(len(each) for each in made)


async def test_all_blocks_together_are_all_there_is(database: Database, clock: ManualClock):
    processes = [await started(database, clock, str(number)) for number in range(BLOCKS)]

    assert {int(each) & (SEQUENCES - 1) for process in processes for each in process.made(EACH)} == set(
        range(SEQUENCES)
    )
    with pytest.raises(NoBlockLeft):
        await started(database, clock, "one too many")


async def test_a_block_that_is_renewed_stays(database: Database, clock: ManualClock):
    process = await started(database, clock, "one")
    before = {int(each) & (SEQUENCES - 1) for each in process.made(EACH)}

    for _ in range(20):
        clock.advance(HELD.total_seconds() / 2)
        await process.block.renew()

    assert {int(each) & (SEQUENCES - 1) for each in process.made(EACH)} == before


async def test_who_cannot_renew_makes_no_ids(database: Database, clock: ManualClock):
    process = await started(database, clock, "one")

    clock.advance(HELD.total_seconds())

    with pytest.raises(BlockLost):
        process.ids.new(slot=7)
    await process.block.renew()
    assert process.made()


async def test_a_dead_ones_block_is_free_again_when_no_clock_can_doubt_it(database: Database, clock: ManualClock):
    dead = await started(database, clock, "dead")
    others = [await started(database, clock, str(number)) for number in range(BLOCKS - 1)]
    clock.advance(HELD.total_seconds() + 1)
    for other in others:
        await other.block.renew()

    with pytest.raises(NoBlockLeft):
        await started(database, clock, "early")
    clock.advance(GRACE.total_seconds())
    for other in others:
        await other.block.renew()
    late = await started(database, clock, "late")

    made = late.made()
    with pytest.raises(BlockLost):
        dead.ids.new(slot=7)
    assert made


async def test_what_is_left_is_free_at_once_and_makes_nothing_more(database: Database, clock: ManualClock):
    processes = [await started(database, clock, str(number)) for number in range(BLOCKS)]

    await processes[3].block.leave()

    clock.advance(0.001)
    with pytest.raises(BlockLost):
        processes[3].ids.new(slot=7)
    assert (await started(database, clock, "next")).made()
