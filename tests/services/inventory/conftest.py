"""Inventories on both engines and behind both wires."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.databases import POSTGRES, SQLITE
from tests.servers import PostgresServer
from tests.services.inventory.shelves import Shelves, opened


@pytest.fixture(scope="session")
def inventory_database(postgres_server: PostgresServer) -> Iterator[str]:
    """A database that all tests here share, one after the other: making one takes longer than the tests."""
    postgres_server.start()
    name = "inventory_tests"
    yield postgres_server.create_database(name)
    postgres_server.start()
    postgres_server.drop_database(name)


@pytest.fixture
async def inventory_dsn(inventory_database: str) -> str:
    """The shared database, with nothing left in it of the tests before."""
    return await _emptied(inventory_database)


@pytest.fixture(params=[(SQLITE, "local"), (SQLITE, "twice"), (POSTGRES, "twice")], ids="-".join)
async def shelves(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shelves]:
    engine, wire = request.param
    dsn = await _emptied(request.getfixturevalue("inventory_database")) if engine == POSTGRES else None
    async with opened(engine=engine, folder=tmp_path, dsn=dsn, wire=wire) as shelves:
        yield shelves


async def _emptied(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'inventory'")
        for (table,) in tables:
            await connection.execute(f'DELETE FROM inventory."{table}"')
    finally:
        await connection.close()
    return dsn
