"""Whether a running shop has come to rest, seen from outside: straight in its databases, which it goes on using."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from hansa.compose.stored import STORED

OPEN_ENDS: Sequence[tuple[str, str, str]] = (
    ("orders", "orders pending", "SELECT count(*) FROM {}orders WHERE status = 'pending'"),
    ("orders", "refunds asked for", "SELECT count(*) FROM {}order_refunds WHERE state = 'pending'"),
    ("payments", "payments under way", "SELECT count(*) FROM {}intents WHERE state IN ('created', 'pending')"),
    ("payments", "refunds under way", "SELECT count(*) FROM {}refunds WHERE state = 'pending'"),
    ("notifications", "mails due", "SELECT count(*) FROM {}mails WHERE state = 'due'"),
    *((stored.name, f"events of {stored.name} unsent", "SELECT count(*) FROM {}outbox") for stored in STORED),
)
HELD = ("inventory", "reservations held", "SELECT count(*) FROM {}reservations WHERE state = 'held'")
BUSY_S = 5.0


async def open_ends(*, folder: Path, dsn: str | None, with_reservations: bool) -> dict[str, int]:
    """How much of what has not come to its end yet; empty at rest."""
    asked = [*OPEN_ENDS, HELD] if with_reservations else OPEN_ENDS
    found = _in_sqlite(folder, asked) if dsn is None else await _in_postgres(dsn, asked)
    return {words: count for words, count in found.items() if count}


def _in_sqlite(folder: Path, asked: Sequence[tuple[str, str, str]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for service, words, statement in asked:
        path = folder / "databases" / f"{service}.db"
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=BUSY_S) as connection:
            found[words] = connection.execute(statement.format("")).fetchone()[0]
        connection.close()
    return found


async def _in_postgres(dsn: str, asked: Sequence[tuple[str, str, str]]) -> dict[str, int]:
    connection = await asyncpg.connect(dsn)
    try:
        return {
            words: await connection.fetchval(statement.format(f"{service}.")) for service, words, statement in asked
        }
    finally:
        await connection.close()
