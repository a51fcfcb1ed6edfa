"""Where acts meet: one PostgreSQL database with the services' own migrations, and a database door for each actor."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec
from sqlalchemy import bindparam, select

import hansa
from hansa.kernel.event import Envelope
from hansa.kernel.ids import Ids, slot_of
from hansa.platform.database import migrations
from hansa.platform.database.platform_tables import OUTBOX
from hansa.platform.database.port import Database
from hansa.platform.database.postgres import PostgresDatabase
from hansa.platform.database.statement import Statement
from tests.clocks import START, ManualClock
from tests.isolation.stepping import Stage, Stepped

SOURCES = Path(hansa.__file__).parent
KEYRING = "keyring"
SEQUENCES = (range(400), range(400, 700), range(700, 1000))
"""Blocks of ids: for who prepares, and for the two who meet."""


@dataclass
class Ground:
    """What a test needs; `migrated` names the schemas that are there by now, to which it may add."""

    dsn: str
    migrated: set[str]
    stage: Stage
    day: int
    """Each test has a day of its own, and so ids that no other one has made in the same tables."""

    def __post_init__(self) -> None:
        self.clock = ManualClock(start=START + timedelta(days=self.day))
        self.ids_of_all = [Ids(clock=self.clock, sequences=block) for block in SEQUENCES]
        self.ids = self.ids_of_all[0]

    @asynccontextmanager
    async def database(self, name: str) -> AsyncIterator[Database]:
        """The database of a service, or of the keyring."""
        if name not in self.migrated:
            owner = "platform/security" if name == KEYRING else f"services/{name}"
            await migrations.migrate(target=self.dsn, name=name, folder=SOURCES / owner / "migrations")
            self.migrated.add(name)
        database = PostgresDatabase(name=name, dsn=self.dsn, clock=self.clock, ids=self.ids)
        await database.open()
        try:
            yield database
        finally:
            await database.close()

    def stepped(self, database: Database) -> list[Database]:
        """The same database as each of the actors has it."""
        return [Stepped(database, stage=self.stage, actor=actor) for actor in self.stage.actors]


_OUTBOX_OF = Statement(
    select(OUTBOX.c.envelope).where(OUTBOX.c.slot == bindparam("of_slot")).order_by(OUTBOX.c.event_id)
)


async def said_of(database: Database, aggregate: str) -> list[str]:
    """The types of the events about a thing that is named by its id, in order."""
    rows = await database.all(_OUTBOX_OF, of_slot=slot_of(aggregate))
    envelopes = [msgspec.json.decode(row["envelope"], type=Envelope) for row in rows]
    return [envelope.type for envelope in envelopes if envelope.aggregate == aggregate]
