"""Publishes what was committed: polls unsent rows without locks, and deletes a row once its event is safe with the bus.

It never remembers "the last id it saw": commits become visible out of order. Two relays at once publish twice at
worst, which consumers bear.
"""

import asyncio
from collections.abc import Sequence

import msgspec
import structlog

from hansa.kernel.clock import Clock
from hansa.kernel.event import Envelope
from hansa.platform.database.platform_tables import REMOVE_EVENTS, UNSENT_EVENTS
from hansa.platform.database.port import Database, Row
from hansa.platform.messaging.port import Bus

BATCH = 256
WINDOW = 4096
"""Most events under way at once; past it the relay waits, and the outbox's age tells of it."""
LOOK_EVERY_S = 1.0
PATIENCE_S = 0.1
"""How long a publication has the relay to itself, while the next one gathers; one that meets trouble takes longer, and
the others do not wait for it."""

log = structlog.get_logger()
_DECODER = msgspec.json.Decoder(Envelope)


class Relay:
    """One service's relay."""

    def __init__(self, *, database: Database, bus: Bus, clock: Clock) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._under_way: set[int] = set()
        # A dictionary for its order: that of a set of tasks is the order of their addresses.
        self._sending: dict[asyncio.Task[None], None] = {}
        self._failed = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        database.on_commit_of_events(self._wake.set)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"relay-{self._database.name}")

    async def close(self) -> None:
        """Stop looking; what is under way is dropped and will be published again."""
        tasks = [*([self._task] if self._task else []), *self._sending]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        timer = asyncio.create_task(self._tick())
        try:
            while True:
                try:
                    found = await self.look()
                except Exception:
                    log.exception("relay could not read the outbox", database=self._database.name)
                    found = 0
                if found and self._sending:
                    await asyncio.wait([next(reversed(self._sending))], timeout=PATIENCE_S)
                if found < BATCH:
                    await self._wake.wait()
                    self._wake.clear()
        finally:
            timer.cancel()

    async def _tick(self) -> None:
        """Looks again now and then, for rows of other processes and of a publication that failed."""
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            self._wake.set()

    async def look(self) -> int:
        """Send what is unsent and not under way yet; returns how many events that was."""
        room = WINDOW - len(self._under_way)
        if room <= 0:
            return 0
        rows = await self._database.all(UNSENT_EVENTS, limit=len(self._under_way) + min(BATCH, room))
        fresh = [row for row in rows if row["event_id"] not in self._under_way]
        if fresh:
            self._under_way.update(row["event_id"] for row in fresh)
            task = asyncio.create_task(self._send(fresh))
            self._sending[task] = None
            task.add_done_callback(self._sending.pop)
        return len(fresh)

    async def drain(self) -> int:
        """Publish until nothing is left or a publication fails; returns how many events were found. For orderly stops
        and for tests."""
        found = 0
        failed_before = self._failed
        while (fresh := await self.look()) or self._sending:
            found += fresh
            if self._sending:
                await asyncio.wait(self._sending)
            if self._failed > failed_before:
                break
        return found

    async def _send(self, rows: Sequence[Row]) -> None:
        try:
            await self._bus.publish([_DECODER.decode(row["envelope"]) for row in rows])
            sent = [(row["slot"], row["event_id"]) for row in rows]
            async with self._database.write(*{slot for slot, _ in sent}) as tx:
                await tx.run(REMOVE_EVENTS, rows=sent)
        except Exception:
            self._failed += 1
            log.exception(
                "events not published; they stay in the outbox", database=self._database.name, count=len(rows)
            )
        finally:
            self._under_way.difference_update(row["event_id"] for row in rows)
