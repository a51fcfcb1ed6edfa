"""One database per test, on either engine."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hansa.platform.database.port import Database
from tests import databases
from tests.platform.database.things import METADATA, NAME


@pytest.fixture(params=databases.ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def dsn(engine: str, request: pytest.FixtureRequest) -> str | None:
    """The address of an empty PostgreSQL database, where that is the engine."""
    return request.getfixturevalue("postgres_dsn") if engine == databases.POSTGRES else None


@pytest.fixture
async def database(engine: str, dsn: str | None, tmp_path: Path) -> AsyncIterator[Database]:
    async with databases.opened(engine=engine, name=NAME, metadata=METADATA, folder=tmp_path, dsn=dsn) as database:
        yield database
