"""A users service on either engine, asked over either wire."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from hansa.kernel.ids import Ids
from hansa.platform.database.port import Database
from hansa.platform.rpc.local import local, twice
from hansa.platform.security import sealing
from hansa.platform.security.passwords import Passwords
from hansa.platform.security.sealing import Keyring
from hansa.services.users.contract import Users
from hansa.services.users.service import UsersService
from hansa.services.users.tables import METADATA
from tests import databases, servers
from tests.clocks import ManualClock

WIRES = {"local": local, "twice": twice}
WORLDS = [
    (databases.SQLITE, "local"),
    (databases.SQLITE, "twice"),
    (databases.POSTGRES, "twice"),
]
MASTER = bytes(range(32))


@dataclass(frozen=True, kw_only=True)
class World:
    """The service, a client of it, and what it was built from."""

    users: Users
    service: UsersService
    database: Database
    keyring: Keyring
    clock: ManualClock


@pytest.fixture(scope="session")
def users_dsn(postgres_server: servers.PostgresServer) -> Iterator[str]:
    """One database for all tests of this service: making one takes longer than a test."""
    postgres_server.start()
    yield postgres_server.create_database("users_tests")
    postgres_server.start()
    postgres_server.drop_database("users_tests")


@pytest.fixture(params=WORLDS, ids=["-".join(world) for world in WORLDS])
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    engine, wire = request.param
    dsn = request.getfixturevalue("users_dsn") if engine == databases.POSTGRES else None
    clock = ManualClock()
    ids = Ids(clock=clock)
    passwords = Passwords(memory_kib=8, passes=1)
    async with (
        databases.opened(
            engine=engine, name="users", metadata=METADATA, folder=tmp_path, dsn=dsn, clock=clock, ids=ids
        ) as database,
        databases.opened(
            engine=databases.SQLITE, name="keys", metadata=sealing.METADATA, folder=tmp_path, clock=clock, ids=ids
        ) as keys,
    ):
        if dsn is not None:
            await _empty(dsn)
        keyring = Keyring(database=keys, master=MASTER, clock=clock)
        service = UsersService(database=database, clock=clock, ids=ids, keyring=keyring, passwords=passwords)
        yield World(users=WIRES[wire](Users, service), service=service, database=database, keyring=keyring, clock=clock)
        passwords.close()


async def _empty(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"TRUNCATE {', '.join(f'users.{name}' for name in METADATA.tables)}")
    finally:
        await connection.close()
