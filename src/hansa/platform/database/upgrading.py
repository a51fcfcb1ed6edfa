"""Applying migrations with Alembic: one transaction each, on either engine, one upgrade at a time in a process."""

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import asyncpg
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, event
from sqlalchemy.ext.asyncio import create_async_engine

from hansa.platform.database.migrations import VERSION_TABLE, versions_in
from hansa.platform.database.postgres_schema import CONNECT_TIMEOUT_S, connected, create_schema, role_of

LOCK_TIMEOUT_MS = 10_000
"""A migration that waits for a table makes everybody else wait behind it; better to give up and be started again."""
LONGEST_STATEMENT_S = 3600.0
"""What one statement of a migration, or another process's migrations, may take; a dead line must end some time."""

_one_at_a_time = threading.Lock()
"""Alembic hands migrations their connection through a global (`alembic.op`)."""


def upgrade_sqlite(path: Path, folder: Path) -> None:
    """Apply what is missing to a file; the calling thread waits."""
    engine = create_engine("sqlite://", creator=lambda: _connect_sqlite(path), poolclass=NullPool)
    event.listen(engine, "begin", _begin_in_sqlite)
    with _one_at_a_time, engine.connect() as connection:
        _apply(connection, folder)


def upgrade_postgres(dsn: str, name: str, folder: Path) -> None:
    """Apply what is missing to a schema; the calling thread waits, also for other processes that do the same."""
    with _one_at_a_time:
        asyncio.run(_upgrade_postgres(dsn, name, folder))


def _connect_sqlite(path: Path) -> sqlite3.Connection:
    """A connection that begins no transaction by itself: the driver's own habit leaves DDL outside of them.

    Foreign keys stay off, since changing a table may mean to copy and drop it.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _begin_in_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


async def _upgrade_postgres(dsn: str, name: str, folder: Path) -> None:
    # The lock of a transaction, not of a session, so that it also holds behind a pooler.
    async with connected(dsn, answer_timeout_s=LONGEST_STATEMENT_S) as guard, guard.transaction():
        await guard.execute("SELECT pg_advisory_xact_lock(hashtext($1))", f"hansa migrations {name}")
        await create_schema(dsn=dsn, name=name)
        await _apply_to_postgres(dsn, name, folder)


async def _apply_to_postgres(dsn: str, name: str, folder: Path) -> None:
    async def connect() -> Any:
        return await asyncpg.connect(
            dsn,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=LONGEST_STATEMENT_S,
            server_settings={
                "application_name": f"hansa {name} migrations",
                "role": role_of(name),
                "search_path": name,
                "lock_timeout": str(LOCK_TIMEOUT_MS),
            },
        )

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(_apply, folder)


def _apply(connection: Connection, folder: Path) -> None:
    if not versions_in(folder):
        return
    script = ScriptDirectory(folder, version_locations=[folder])
    context = MigrationContext.configure(
        connection=connection,
        opts={
            "script": script,
            "fn": lambda heads, _context: script._upgrade_revs("head", heads),
            "version_table": VERSION_TABLE,
            "transaction_per_migration": True,
            "transactional_ddl": True,  # Alembic does not expect it of SQLite, but with BEGIN it is so
        },
    )
    with Operations.context(context):
        context.run_migrations()
