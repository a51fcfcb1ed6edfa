"""A shop around the orders service, on either engine, asked over either wire."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from hansa.kernel.ids import Ids
from hansa.platform.security import sealing
from hansa.platform.security.sealing import Keyring
from hansa.services.orders.tables import METADATA
from tests import databases, servers
from tests.clocks import ManualClock
from tests.services.orders.shop import Shop

MASTER = bytes(range(32))
WORLDS = [
    (databases.SQLITE, "local"),
    (databases.SQLITE, "twice"),
    (databases.POSTGRES, "twice"),
]


@pytest.fixture(scope="session")
def orders_dsn(postgres_server: servers.PostgresServer) -> Iterator[str]:
    """One database for all tests of this service: making one takes longer than a test."""
    postgres_server.start()
    yield postgres_server.create_database("orders_tests")
    postgres_server.start()
    postgres_server.drop_database("orders_tests")


@pytest.fixture(params=WORLDS, ids=["-".join(world) for world in WORLDS])
async def shop(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Shop]:
    engine, wire = request.param
    dsn = request.getfixturevalue("orders_dsn") if engine == databases.POSTGRES else None
    async with opened(engine=engine, wire=wire, dsn=dsn, folder=tmp_path) as shop:
        yield shop


@pytest.fixture(params=databases.ENGINES)
async def near_shop(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Shop]:
    """A shop asked without encoding and repetition: for tests that count steps or race."""
    dsn = request.getfixturevalue("orders_dsn") if request.param == databases.POSTGRES else None
    async with opened(engine=request.param, wire="local", dsn=dsn, folder=tmp_path) as shop:
        yield shop


@pytest.fixture
async def small_shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """A shop for what has nothing to do with engines or wires."""
    async with opened(engine=databases.SQLITE, wire="local", dsn=None, folder=tmp_path) as shop:
        yield shop


@asynccontextmanager
async def opened(*, engine: str, wire: str, dsn: str | None, folder: Path) -> AsyncIterator[Shop]:
    clock = ManualClock()
    ids = Ids(clock=clock)
    async with (
        databases.opened(
            engine=engine, name="orders", metadata=METADATA, folder=folder, dsn=dsn, clock=clock, ids=ids
        ) as database,
        databases.opened(
            engine=databases.SQLITE, name="keys", metadata=sealing.METADATA, folder=folder, clock=clock, ids=ids
        ) as keys,
    ):
        if dsn is not None:
            await _empty(dsn)
        yield Shop(
            database=database,
            keyring=Keyring(database=keys, master=MASTER, clock=clock),
            clock=clock,
            ids=ids,
            wire=wire,
        )


async def _empty(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("; ".join(f"DELETE FROM orders.{name}" for name in METADATA.tables))
    finally:
        await connection.close()
