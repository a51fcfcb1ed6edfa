"""A consumer with a real inbox, whose effect is to count; as a program, one that halts between database and Kafka.

`python -m tests.platform.messaging.kafka_effects ADDRESS NAMESPACE FOLDER` says `committed` and goes no further.
"""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.schema import Table

from hansa.kernel.clock import SystemClock
from hansa.kernel.event import Envelope
from hansa.kernel.ids import Ids
from hansa.platform.database.platform_tables import service_metadata
from hansa.platform.database.port import Database, Transaction
from hansa.platform.database.statement import Statement
from hansa.platform.database.tables import COUNT, field, key, slot
from hansa.platform.messaging.kafka.bus import KafkaBus
from hansa.platform.messaging.kafka.servers import Servers
from hansa.platform.messaging.port import Bus, Consumer, Received
from hansa.platform.outbox.inbox import Inbox
from hansa.platform.telemetry import logs
from tests import databases
from tests.platform.messaging.brokers import QUICK, Counted
from tests.platform.messaging.kafka_timing import BRISK

NAME = "tally.counted"
METADATA = service_metadata()
SEEN = Table("seen", METADATA, slot(), key("number", COUNT), field("times", COUNT))
ADD = Statement(
    insert(SEEN)
    .values(slot=0, number=bindparam("number"), times=1)
    .on_conflict_do_update(index_elements=["slot", "number"], set_={"times": SEEN.c.times + 1})
)
ALL = Statement(select(SEEN.c.number, SEEN.c.times))


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Database]:
    clock = SystemClock()
    async with databases.opened(
        engine="sqlite", name="tally", metadata=METADATA, folder=folder, clock=clock, ids=Ids(clock=clock)
    ) as database:
        yield database


class Effects:
    """Counts in the database what has taken effect, and beside it what has been delivered."""

    def __init__(self, database: Database, *, before: Callable[[], Awaitable[object]] | None = None) -> None:
        self._database = database
        self._before = before
        self.delivered = Counter[str]()

    def subscribe(self, bus: Bus, *, afterwards: Callable[[], Awaitable[None]] | None = None) -> None:
        consumer = Consumer(name=NAME, hears=Counted, handle=self._handle, afterwards=afterwards)
        self._inbox = Inbox(database=self._database, consumer=consumer, clock=SystemClock())
        bus.subscribe(consumer=NAME, type=Counted.type, subscriber=self)

    async def deliver(self, batch: Sequence[Envelope]) -> None:
        self.delivered.update(envelope.id for envelope in batch)
        if self._before is not None:
            await self._before()
        await self._inbox.deliver(batch)

    async def park(self, envelope: Envelope, *, error: str, attempts: int) -> None:
        await self._inbox.park(envelope, error=error, attempts=attempts)

    async def _handle(self, tx: Transaction, batch: Sequence[Received[Counted]]) -> None:
        for received in batch:
            await tx.run(ADD, number=received.event.number)


async def counts(database: Database) -> dict[int, int]:
    return {row[0]: row[1] for row in await database.all(ALL)}


async def until_counted(database: Database, numbers: range, *, patience_s: float = 30) -> None:
    """Return when each is there, however often."""
    async with asyncio.timeout(patience_s):
        while not set(numbers) <= set(await counts(database)):
            await asyncio.sleep(0.02)


async def _halt_after_commit(address: str, namespace: str, folder: Path) -> None:
    async def halt() -> None:
        print("committed", flush=True)
        await asyncio.sleep(3600)

    async with opened(folder) as database:
        bus = KafkaBus(
            servers=Servers(addresses=(address,)),
            clock=SystemClock(),
            chance=random.Random(1),
            patience=QUICK,
            namespace=namespace,
            timing=BRISK,
        )
        Effects(database).subscribe(bus, afterwards=halt)
        await bus.start()
        await asyncio.sleep(3600)


if __name__ == "__main__":
    logs.configure(level="WARNING", as_json=True)
    asyncio.run(_halt_after_commit(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
