"""A whole shop's databases as its migrations leave them: made once by each process that tests, then copied."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

import asyncpg

from hansa.compose.stored import STORED, migrate_all
from hansa.settings import Settings

EMBEDDED = "sqlite:"
TEMPLATE = "migrated_shop"
"""A database on each server of tests; nobody else connects to it."""


async def migrate_shop(settings: Settings) -> None:
    """What `migrate_all` does, in a fraction of its time where there is nothing yet."""
    if settings.database == EMBEDDED:
        await _copy_files(Path(settings.data) / "databases")
    else:
        await _copy_database(settings.database)
    await migrate_all(settings)


async def _copy_files(folder: Path) -> None:
    if folder.exists():
        return
    made = Path(_own_folder().name)
    await migrate_all(Settings(data=str(made), database=EMBEDDED))
    shutil.copytree(made / folder.name, folder)


@cache
def _own_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="hansa-migrated-")


async def _copy_database(dsn: str) -> None:
    """Put a copy of the template in place of a database that is empty."""
    server, _, name = dsn.rpartition("/")
    if await _is_in_use(dsn):
        return
    connection = await asyncpg.connect(f"{server}/postgres")
    try:
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", TEMPLATE):
            await connection.execute(f'CREATE DATABASE "{TEMPLATE}" TEMPLATE template0')
            await migrate_all(Settings(database=f"{server}/{TEMPLATE}"))
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}"')
    finally:
        await connection.close()


async def _is_in_use(dsn: str) -> bool:
    connection = await asyncpg.connect(dsn)
    try:
        names = [stored.name for stored in STORED]
        return bool(await connection.fetchval("SELECT true FROM pg_namespace WHERE nspname = ANY($1) LIMIT 1", names))
    finally:
        await connection.close()
