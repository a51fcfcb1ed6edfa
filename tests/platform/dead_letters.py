"""What was parked among the dead letters, for tests to look at as rows."""

from collections.abc import Sequence

from sqlalchemy import select

from hansa.platform.database.platform_tables import DEAD_LETTERS
from hansa.platform.database.port import Database, Row
from hansa.platform.database.statement import Statement

_ALL = Statement(select(DEAD_LETTERS).order_by(DEAD_LETTERS.c.event_id))


async def parked(database: Database) -> Sequence[Row]:
    """The dead letters of a service, the oldest event first."""
    return await database.all(_ALL)
