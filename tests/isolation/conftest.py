"""A stage for two, and PostgreSQL databases whose tables stay for all tests of this folder."""

import itertools
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from tests.isolation.ground import Ground
from tests.isolation.stepping import DEADLOCK_MS, Stage
from tests.servers import PostgresServer, ServerMissing

DATABASE = "isolation_tests"

_days = itertools.count()


@pytest.fixture(scope="session")
def isolation_dsn() -> Iterator[str]:
    """One database for all tests here, a schema for each service: they make rows of their own and never mind others.

    On a server of its own that does not wait for the disk: who sees what, and when, is not a matter of durability, and
    a fourth of the time would go into it.
    """
    try:
        server = PostgresServer()
    except ServerMissing as missing:
        pytest.skip(str(missing))
    try:
        server.start()
        server.execute("ALTER SYSTEM SET fsync = off")
        server.execute("SELECT pg_reload_conf()")
        dsn = server.create_database(DATABASE)
        server.execute(f"ALTER DATABASE {DATABASE} SET deadlock_timeout = '{DEADLOCK_MS}ms'")
        yield dsn
    finally:
        server.stop()


@pytest.fixture(scope="session")
def migrated() -> set[str]:
    """The schemas that are there by now: making one takes longer than most of these tests."""
    return set()


@pytest.fixture
async def ground(isolation_dsn: str, migrated: set[str]) -> AsyncIterator[Ground]:
    watcher = await asyncpg.connect(isolation_dsn)
    try:
        yield Ground(dsn=isolation_dsn, migrated=migrated, stage=Stage(watcher), day=next(_days))
    finally:
        await watcher.close()
