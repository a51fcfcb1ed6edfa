"""The role and the schema that each service has in a PostgreSQL database, and what version the schema is at."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from hansa.kernel.errors import Fault

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 30.0
"""How long a server may take over a small question: a line that falls silent must not keep a start for ever."""
CLOSE_TIMEOUT_S = 5.0


def role_of(name: str) -> str:
    """The role that owns a service's schema and is all that the service's connections are."""
    return f"hansa_{name}"


async def create_schema(*, dsn: str, name: str) -> None:
    """Make the role and the schema of a service if they are not there: nobody else has a right in it."""
    role = role_of(name)
    async with connected(dsn) as connection:
        await _create_role(connection, role)
        if not await connection.fetchval("SELECT true FROM pg_namespace WHERE nspname = $1", name):
            await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{name}" AUTHORIZATION "{role}"')
            await connection.execute(f'REVOKE ALL ON SCHEMA "{name}" FROM PUBLIC')


async def version_in_schema(*, dsn: str, name: str, version_table: str) -> str | None:
    """The number of the last migration applied, or None where there was none yet."""
    async with connected(dsn) as connection:
        if not await connection.fetchval(
            "SELECT true FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
            "WHERE nspname = $1 AND relname = $2",
            name,
            version_table,
        ):
            return None
        await connection.execute(f'SET ROLE "{role_of(name)}"')
        version: str | None = await connection.fetchval(f'SELECT version_num FROM "{name}"."{version_table}"')
        return version


@asynccontextmanager
async def connected(
    dsn: str, *, answer_timeout_s: float | None = None
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection for a while, in which every answer is waited for so long and no longer.

    Raises Fault, in words that do not tell the password, where the server cannot be reached, refuses, or falls silent.
    """
    try:
        patience_s = answer_timeout_s or ANSWER_TIMEOUT_S
        connection: Any = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S, command_timeout=patience_s)
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Fault(f"the PostgreSQL database cannot be reached: {error}") from error
    try:
        yield connection
    except (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError) as error:
        raise Fault(f"the PostgreSQL database does not answer any more: {str(error) or 'it fell silent'}") from error
    finally:
        await _leave(connection)


async def _leave(connection: Any) -> None:
    """Politely, and without waiting for a server that is gone."""
    try:
        await connection.close(timeout=CLOSE_TIMEOUT_S)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()


async def _create_role(connection: "asyncpg.Connection[asyncpg.Record]", role: str) -> None:
    """Make a role, and let the current user become it.

    Roles belong to the whole server, so somebody else may be making the same one for another database.
    """
    if not await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role):
        with contextlib.suppress(asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
            await connection.execute(f'CREATE ROLE "{role}" NOLOGIN')
    try:
        await connection.execute(f'SET ROLE "{role}"')
    except asyncpg.InsufficientPrivilegeError:
        await connection.execute(f'GRANT "{role}" TO CURRENT_USER')
    await connection.execute("RESET ROLE")
