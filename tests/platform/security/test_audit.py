"""The audit trail: a row with the deed, none without it, and one for a deed that is repeated."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from hansa.kernel.clock import to_micros
from hansa.kernel.ids import Ids
from hansa.platform.database import platform_tables
from hansa.platform.database.port import Database, Transaction
from hansa.platform.database.statement import Statement
from hansa.platform.security import audit
from tests import databases
from tests.clocks import ManualClock

ALL = Statement(select(platform_tables.AUDIT))


@pytest.fixture(params=databases.ENGINES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    dsn = request.getfixturevalue("postgres_dsn") if request.param == "postgres" else None
    clock = ManualClock()
    async with databases.opened(
        engine=request.param,
        name="products",
        metadata=platform_tables.service_metadata(),
        folder=tmp_path,
        dsn=dsn,
        clock=clock,
        ids=Ids(clock=clock),
    ) as opened:
        yield opened


async def archive(tx: Transaction) -> None:
    clock = ManualClock()
    await audit.record(
        tx,
        slot=7,
        audit_id="123",
        at=clock.now(),
        actor="9",
        action="products.archive",
        target="42",
        detail={"reason": "sold out", "count": 3},
    )


async def test_the_row_commits_with_the_deed(database: Database):
    async with database.write(7) as tx:
        await archive(tx)
    [row] = await database.all(ALL)
    assert (row["slot"], row["audit_id"], row["at"]) == (7, 123, to_micros(ManualClock().now()))
    assert (row["actor"], row["action"], row["target"]) == ("9", "products.archive", "42")
    assert msgspec.json.decode(row["detail"]) == {"reason": "sold out", "count": 3}


async def test_without_the_deed_there_is_no_row(database: Database):
    async def deed_that_fails() -> None:
        async with database.write(7) as tx:
            await archive(tx)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await deed_that_fails()
    assert not await database.all(ALL)


async def test_a_repeated_deed_leaves_one_row(database: Database):
    for _ in range(2):
        async with database.write(7) as tx:
            await archive(tx)
    assert len(await database.all(ALL)) == 1
