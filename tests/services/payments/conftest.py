"""One till per test, on either engine and behind either wire."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from hansa.platform.security import sealing
from hansa.services.payments.tables import METADATA
from tests import databases
from tests.servers import PostgresServer
from tests.services.payments.till import Till, opened_till

DATABASE = "payments_tests"


PLACES = ((databases.SQLITE, "twice"), (databases.POSTGRES, "local"))
"""Each engine and each wire, but not each pair of them: the wire does not know the engine, and commits take time."""


@pytest.fixture(params=PLACES, ids="-".join)
def place(request: pytest.FixtureRequest) -> tuple[str, str]:
    place: tuple[str, str] = request.param
    return place


@pytest.fixture
def engine(place: tuple[str, str]) -> str:
    return place[0]


@pytest.fixture
def wire(place: tuple[str, str]) -> str:
    return place[1]


@pytest.fixture(scope="session")
def shared_dsn(postgres_server: PostgresServer) -> Iterator[str]:
    """One database for all these tests: emptying its tables takes a tenth of the time of making them."""
    postgres_server.start()
    yield postgres_server.create_database(DATABASE)
    postgres_server.start()
    postgres_server.drop_database(DATABASE)


@pytest.fixture
def dsn(engine: str, request: pytest.FixtureRequest) -> str | None:
    """The address of a PostgreSQL database, where that is the engine."""
    return request.getfixturevalue("shared_dsn") if engine == databases.POSTGRES else None


@pytest.fixture(scope="session")
def empty_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SQLite files with tables and nothing in them, to copy: cheaper, too, than making them."""
    folder = tmp_path_factory.mktemp("payments")
    databases.create_in_sqlite(folder / "payments.sqlite", METADATA)
    databases.create_in_sqlite(folder / "keyring.sqlite", sealing.METADATA)
    return folder


@pytest.fixture
def folder(empty_files: Path, tmp_path: Path) -> Path:
    for file in empty_files.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path


@pytest.fixture
async def till(engine: str, wire: str, dsn: str | None, folder: Path) -> AsyncIterator[Till]:
    if dsn is not None:
        await _empty(dsn)
    async with opened_till(engine=engine, wire=wire, folder=folder, dsn=dsn) as till:
        yield till


async def _empty(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('payments', 'keyring')"
        )
        if tables:
            deletions = "; ".join(f"DELETE FROM {table[0]}" for table in tables)
            await connection.execute(f"SET session_replication_role = replica; {deletions}")  # whatever the order
    finally:
        await connection.close()
