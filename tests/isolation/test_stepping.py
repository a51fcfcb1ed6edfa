"""The stage finds what it is there to find: a write that is lost, and two who wait for each other in a ring."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import bindparam, select, update

from hansa.kernel.errors import StorageBusy
from hansa.platform.database.idempotency import claim, keep
from hansa.platform.database.platform_tables import COMMANDS
from hansa.platform.database.port import Database
from hansa.platform.database.statement import Statement
from tests.isolation.ground import Ground
from tests.isolation.stepping import Scene, explore

SLOT = 5
_ITS_KEY = COMMANDS.c.key == bindparam("of_key")
READ = Statement(select(COMMANDS.c.answer).where(_ITS_KEY))
READ_AND_LOCK = Statement(select(COMMANDS.c.answer).where(_ITS_KEY).with_for_update())
WRITE = Statement(update(COMMANDS).where(_ITS_KEY).values(answer=bindparam("new_answer")))

Doors = tuple[Database, Database, Database]


@pytest.fixture
async def doors(ground: Ground) -> AsyncIterator[Doors]:
    async with ground.database("notifications") as database:
        two, three = ground.stepped(database)
        yield database, two, three


async def counted(ground: Ground, doors: Doors, reading: Statement) -> Any:
    """Play that two count one more, each by reading first."""
    one, two, three = doors

    async def count(door: Database, key: str) -> None:
        async with door.write(SLOT) as tx:
            row = await tx.one(reading, of_key=key)
            assert row is not None
            await tx.run(WRITE, of_key=key, new_answer=str(int(row["answer"]) + 1))

    async def prepare() -> Scene:
        key = ground.ids.new(slot=SLOT)
        async with one.write(SLOT) as tx:
            await claim(tx, slot=SLOT, key=key, request="", now=ground.clock.now())
            await keep(tx, slot=SLOT, key=key, answer=0)

        async def check(*_: Any) -> None:
            row = await one.one(READ, of_key=key)
            assert row is not None
            assert row["answer"] == "2", "a count was lost"

        return Scene((lambda: count(two, key), lambda: count(three, key)), check)

    return await explore(ground.stage, prepare)


async def test_a_write_that_is_lost_is_found_and_the_order_is_told(ground: Ground, doors: Doors) -> None:
    with pytest.raises(AssertionError, match="a count was lost") as found:
        await counted(ground, doors, READ)
    [told] = found.value.__notes__
    assert told.index("A: SELECT") < told.index("B: UPDATE")
    assert told.index("B: SELECT") < told.index("A: COMMIT")


async def test_a_lock_that_is_taken_first_loses_nothing(ground: Ground, doors: Doors) -> None:
    explored = await counted(ground, doors, READ_AND_LOCK)
    assert explored.waits > 0
    assert explored.plays >= 4


async def test_two_who_wait_for_each_other_are_a_failure_unless_it_is_expected(ground: Ground, doors: Doors) -> None:
    _, two, three = doors

    async def take(door: Database, *keys: str) -> None:
        async with door.write(SLOT) as tx:
            for key in keys:
                await claim(tx, slot=SLOT, key=key, request="", now=ground.clock.now())
                await keep(tx, slot=SLOT, key=key, answer=0)

    async def prepare() -> Scene:
        one, other = ground.ids.new(slot=SLOT), ground.ids.new(slot=SLOT)

        async def check(*_: Any) -> None: ...

        return Scene((lambda: take(two, one, other), lambda: take(three, other, one)), check)

    explored = await explore(ground.stage, prepare, faults=(StorageBusy,))
    assert {"StorageBusy"} < {kind for kinds in explored.outcomes for kind in kinds}
    with pytest.raises(AssertionError, match="broke: StorageBusy"):
        await explore(ground.stage, prepare)
