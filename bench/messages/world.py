"""What is committed, and what its effect is: a number is told, and written down by whoever hears of it."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from sqlalchemy import func, select
from sqlalchemy.schema import Table

from hansa.kernel.clock import SystemClock
from hansa.kernel.event import Event
from hansa.kernel.ids import SLOTS, Ids
from hansa.platform.database.platform_tables import service_metadata
from hansa.platform.database.port import Database, Transaction
from hansa.platform.database.rows import insert_rows
from hansa.platform.database.sqlite import SqliteDatabase
from hansa.platform.database.statement import Statement
from hansa.platform.database.tables import COUNT, field, key, slot
from hansa.platform.messaging.port import Consumer, Received
from tests.databases import create_in_sqlite

METADATA = service_metadata()
EFFECTS = Table("effects", METADATA, slot(), key("number", COUNT), field("committed_us", COUNT))
WRITE = Statement(insert_rows(EFFECTS).on_conflict_do_nothing())
WRITTEN = Statement(select(func.count()).select_from(EFFECTS))


class NumberTold(Event, frozen=True, kw_only=True):
    """As large as an order's event."""

    type: ClassVar[str] = "teller.number_told.v1"
    number: int
    committed_us: int
    filling: str = "x" * 600


async def opened(folder: Path, name: str) -> Database:
    """A database of its own, durable as a shop's."""
    path = folder / f"{name}.sqlite"
    if not path.exists():
        create_in_sqlite(path, METADATA)
    clock = SystemClock()
    database = SqliteDatabase(name=name, path=path, clock=clock, ids=Ids(clock=clock))
    await database.open()
    return database


async def tell(database: Database, numbers: Sequence[int]) -> None:
    """One commit for all of them."""
    slots = {number % SLOTS for number in numbers}
    async with database.write(*slots) as tx:
        for number in numbers:
            event = NumberTold(number=number, committed_us=time.time_ns() // 1000)
            tx.emit(event, slot=number % SLOTS, aggregate=str(number + 1))


class Hearing:
    """The consumer, and how long each event took from its commit to its effect, in milliseconds."""

    def __init__(self) -> None:
        self.took_ms: list[float] = []
        self._batch: list[int] = []

    def consumer(self) -> Consumer[NumberTold]:
        return Consumer(name="hearer.written", hears=NumberTold, handle=self._handle, afterwards=self._done)

    async def _handle(self, tx: Transaction, batch: Sequence[Received[NumberTold]]) -> None:
        rows = sorted((each.envelope.slot, each.event.number, each.event.committed_us) for each in batch)
        await tx.run(WRITE, rows=rows)
        self._batch = [row[2] for row in rows]

    async def _done(self) -> None:
        """It is committed."""
        now = time.time_ns() // 1000
        self.took_ms += [(now - committed) / 1000 for committed in self._batch]
        self._batch = []
