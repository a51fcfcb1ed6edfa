"""Promotions on either engine, asked over either wire."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from hansa.kernel.ids import Ids
from hansa.platform.security import sealing
from hansa.platform.security.sealing import Keyring
from hansa.services.promotions.tables import METADATA
from tests import databases, servers
from tests.clocks import ManualClock
from tests.services.promotions.counter import Counter

WORLDS = [(databases.SQLITE, "local"), (databases.SQLITE, "twice"), (databases.POSTGRES, "twice")]


@pytest.fixture(scope="session")
def promotions_dsn(postgres_server: servers.PostgresServer) -> Iterator[str]:
    """One database for all tests of this service: making one takes longer than a test."""
    postgres_server.start()
    yield postgres_server.create_database("promotions_tests")
    postgres_server.start()
    postgres_server.drop_database("promotions_tests")


@pytest.fixture(params=WORLDS, ids=["-".join(world) for world in WORLDS])
async def counter(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Counter]:
    engine, wire = request.param
    dsn = request.getfixturevalue("promotions_dsn") if engine == databases.POSTGRES else None
    clock = ManualClock()
    ids = Ids(clock=clock)
    async with (
        databases.opened(
            engine=engine, name="promotions", metadata=METADATA, folder=tmp_path, dsn=dsn, clock=clock, ids=ids
        ) as database,
        databases.opened(
            engine=databases.SQLITE, name="keys", metadata=sealing.METADATA, folder=tmp_path, clock=clock, ids=ids
        ) as keys,
    ):
        if dsn is not None:
            await _empty(dsn)
        keyring = Keyring(database=keys, master=bytes(range(32)), clock=clock)
        counter = Counter(database=database, keyring=keyring, clock=clock, ids=ids, wire=wire)
        yield counter
        await counter.service.close()


async def _empty(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("; ".join(f"DELETE FROM promotions.{name}" for name in METADATA.tables))
    finally:
        await connection.close()
