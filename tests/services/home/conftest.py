"""Front pages on both engines and behind both wires."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from hansa.platform.rpc.local import local, twice
from tests.databases import POSTGRES, SQLITE
from tests.servers import PostgresServer
from tests.services.home.window_shop import Window, window_on


@pytest.fixture(scope="session")
def home_database(postgres_server: PostgresServer) -> Iterator[str]:
    """A database that all tests here share, one after the other: making one takes longer than the tests."""
    postgres_server.start()
    name = "home_tests"
    yield postgres_server.create_database(name)
    postgres_server.start()
    postgres_server.drop_database(name)


@pytest.fixture(
    params=[(SQLITE, local), (SQLITE, twice), (POSTGRES, twice)], ids=lambda param: f"{param[0]}-{param[1].__name__}"
)
async def window(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Window]:
    engine, wire = request.param
    dsn = await emptied(request.getfixturevalue("home_database")) if engine == POSTGRES else None
    async with window_on(engine, tmp_path, dsn, wire) as made:
        yield made


@pytest.fixture
async def small_window(tmp_path: Path) -> AsyncIterator[Window]:
    """On SQLite, for what has nothing to do with engines or wires."""
    async with window_on(SQLITE, tmp_path) as made:
        yield made


@pytest.fixture
async def racing_window(home_database: str, tmp_path: Path) -> AsyncIterator[Window]:
    """On PostgreSQL, where two writers really are at it at once."""
    async with window_on(POSTGRES, tmp_path, await emptied(home_database)) as made:
        yield made


async def emptied(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'home'")
        for (table,) in tables:
            await connection.execute(f'DELETE FROM home."{table}"')
    finally:
        await connection.close()
    return dsn
