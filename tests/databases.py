"""Databases for tests, on either engine, with the tables of a MetaData or of a service's migrations."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import asyncpg
from sqlalchemy import Dialect, MetaData
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import ClauseElement

from hansa.kernel.clock import Clock, SystemClock
from hansa.kernel.ids import Ids
from hansa.platform.database import migrations
from hansa.platform.database.port import Database
from hansa.platform.database.postgres import PostgresDatabase
from hansa.platform.database.postgres_schema import create_schema, role_of
from hansa.platform.database.sqlite import SqliteDatabase

SQLITE = "sqlite"
POSTGRES = "postgres"
ENGINES = (SQLITE, POSTGRES)


@asynccontextmanager
async def opened(
    *,
    engine: str,
    name: str,
    metadata: MetaData,
    folder: Path,
    dsn: str | None = None,
    clock: Clock | None = None,
    ids: Ids | None = None,
    service_migrations: Path | None = None,
) -> AsyncIterator[Database]:
    """An open database on the named engine, closed at the end; `dsn` is needed for PostgreSQL only."""
    clock = clock or SystemClock()
    ids = ids or Ids(clock=clock)
    database: Database
    if engine == SQLITE:
        database = await open_sqlite(
            folder, name, metadata, clock=clock, ids=ids, service_migrations=service_migrations
        )
    else:
        assert dsn is not None, "PostgreSQL needs a dsn: use the fixture postgres_dsn"
        database = await open_postgres(dsn, name, metadata, clock=clock, ids=ids, service_migrations=service_migrations)
    try:
        yield database
    finally:
        await database.close()


async def open_sqlite(
    folder: Path,
    name: str,
    metadata: MetaData,
    *,
    clock: Clock,
    ids: Ids,
    service_migrations: Path | None = None,
) -> SqliteDatabase:
    """The file `<name>.sqlite` in a folder. It may be there already, with its tables."""
    path = folder / f"{name}.sqlite"
    if service_migrations is not None:
        await migrations.migrate(target=path, name=name, folder=service_migrations)
    elif not path.exists():
        create_in_sqlite(path, metadata)
    database = SqliteDatabase(name=name, path=path, clock=clock, ids=ids)
    await database.open()
    return database


async def open_postgres(
    dsn: str,
    name: str,
    metadata: MetaData,
    *,
    clock: Clock,
    ids: Ids,
    service_migrations: Path | None = None,
    pool_size: int = 10,
) -> PostgresDatabase:
    """The schema of a service in a database. It may be there already, with its tables."""
    if service_migrations is not None:
        await migrations.migrate(target=dsn, name=name, folder=service_migrations)
    else:
        await create_schema(dsn=dsn, name=name)
        await create_in_postgres(dsn, name, metadata)
    database = PostgresDatabase(name=name, dsn=dsn, clock=clock, ids=ids, pool_size=pool_size)
    await database.open()
    return database


def create_in_sqlite(path: Path, metadata: MetaData) -> None:
    path.write_bytes(_empty_file(metadata))


@cache
def _empty_file(metadata: MetaData) -> bytes:
    """The file with the tables and nothing in them: hundreds of tests begin with the same one."""
    connection = sqlite3.connect(":memory:")
    try:
        for definition in _definitions(metadata, SQLITE):
            connection.execute(definition)
        return connection.serialize()
    finally:
        connection.close()


async def create_in_postgres(dsn: str, name: str, metadata: MetaData) -> None:
    connection = await asyncpg.connect(dsn, server_settings={"role": role_of(name), "search_path": name})
    try:
        if await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = $1", name) == 0:
            async with connection.transaction():
                for definition in _definitions(metadata, POSTGRES):
                    await connection.execute(definition)
    finally:
        await connection.close()


@cache
def _definitions(metadata: MetaData, engine: str) -> list[str]:
    """What creates every table and index, in an order that respects foreign keys."""
    dialect: Dialect = sqlite.dialect() if engine == SQLITE else postgresql.dialect()
    elements: list[ClauseElement] = []
    for table in metadata.sorted_tables:
        elements += [CreateTable(table), *(CreateIndex(index) for index in sorted(table.indexes, key=str))]
    return [str(element.compile(dialect=dialect)) for element in elements]
