"""Bringing a service's database up to the newest migration in the service's folder; quick when there is nothing to do.

A service keeps its migrations as `migrations/NNNN_words.py`, one line of numbered steps without branches. Most
starts find the newest one applied already, so that question is asked with the bare driver. Alembic is imported only
when there is work (`upgrading`), or when a developer writes the next migration (`autogeneration`), and the driver for
PostgreSQL only where that is used: a shop that starts on a laptop shall not wait for either.
"""

import asyncio
import re
import sqlite3
from pathlib import Path

VERSION_TABLE = "schema_version"

_FILE = re.compile(r"([0-9]{4})_[a-z0-9_]+\.py")


class NewerData(Exception):
    """The database was written by a newer Hansa than this one; nothing in it was touched."""

    def __init__(self, *, name: str, found: str, known: str) -> None:
        super().__init__(
            f"the data of {name} is at version {found}, which this Hansa does not know (it knows {known}): "
            "start the newer Hansa that wrote it, or restore a backup from before"
        )
        self.name = name
        self.found = found
        self.known = known


async def migrate(*, target: Path | str, name: str, folder: Path) -> None:
    """Apply what is missing, each migration in a transaction of its own; make the file or the schema if need be.

    `target` is the path of a SQLite file or the address of a PostgreSQL database. Raises NewerData when the version
    found is not among the known ones.
    """
    if await check_version(target=target, name=name, folder=folder):
        return

    from hansa.platform.database import upgrading

    if isinstance(target, Path):
        target.parent.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(upgrading.upgrade_sqlite, target, folder)
    else:
        await asyncio.to_thread(upgrading.upgrade_postgres, target, name, folder)


async def check_version(*, target: Path | str, name: str, folder: Path) -> bool:
    """Whether the newest migration is applied already. Raises NewerData for a version that the folder does not know."""
    known = versions_in(folder)
    found = await version_of(target=target, name=name)
    if found is not None and found not in known:
        raise NewerData(name=name, found=found, known=known[-1] if known else "none")
    return bool(known) and found == known[-1]


def versions_in(folder: Path) -> list[str]:
    """The numbers of the migrations in a folder, in order. Raises ValueError if two have the same."""
    versions = sorted(match[1] for file in folder.glob("*.py") if (match := _FILE.fullmatch(file.name)))
    if len(set(versions)) < len(versions):
        raise ValueError(f"two migrations in {folder} have the same number: {versions}")
    return versions


async def version_of(*, target: Path | str, name: str) -> str | None:
    """The number of the last migration applied, or None where there was none yet."""
    if isinstance(target, Path):
        return _version_in_sqlite(target)
    from hansa.platform.database import postgres_schema

    return await postgres_schema.version_in_schema(dsn=target, name=name, version_table=VERSION_TABLE)


def _version_in_sqlite(path: Path) -> str | None:
    if not path.exists():
        return None
    connection = sqlite3.connect(path)
    try:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (VERSION_TABLE,)).fetchone():
            return None
        row = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()
        return str(row[0]) if row else None
    finally:
        connection.close()
