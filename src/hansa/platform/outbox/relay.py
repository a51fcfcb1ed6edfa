"""Publishes what was committed, and deletes its row once an event is safe with the bus.

What this process commits it is told at once. All else, such as what another process left unsent, it finds by polling
unsent rows without locks. It never remembers "the last id it saw": commits become visible out of order. Two relays at
once publish twice at worst, which consumers bear.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import islice

import msgspec
import structlog

from hansa.kernel.clock import Clock
from hansa.kernel.event import Envelope
from hansa.platform.database.platform_tables import REMOVE_EVENTS, UNSENT_EVENTS
from hansa.platform.database.port import Database
from hansa.platform.messaging.port import Bus

BATCH = 256
WINDOW = 4096
"""Most events told or under way at once; past it the relay waits, and the outbox's age tells of it."""
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
        """Told of or being sent."""
        self._told: deque[Envelope] = deque()
        """Committed by this process, and still to be sent."""
        self._is_look_due = True
        # A dictionary for its order: that of a set of tasks is the order of their addresses.
        self._sending: dict[asyncio.Task[None], None] = {}
        self._failed = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        database.on_commit_of_events(self._tell)

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
                found = self._send_told()
                if self._is_look_due:
                    self._is_look_due = False
                    found += await self._attempt()
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
            self._is_look_due = True
            self._wake.set()

    def _tell(self, events: Sequence[Envelope]) -> None:
        """They were committed. Those for which there is no room are found by looking."""
        room = max(WINDOW - len(self._under_way), 0)
        fresh = [event for event in events[:room] if int(event.id) not in self._under_way]
        self._under_way.update(int(event.id) for event in fresh)
        self._told.extend(fresh)
        self._is_look_due |= room < len(events)
        self._wake.set()

    async def look(self) -> int:
        """Send what is unsent and not under way yet, some of it; returns how many events that was."""
        return self._send_told() or await self._send_found()

    async def _attempt(self) -> int:
        try:
            found = await self._send_found()
        except Exception:
            log.exception("relay could not read the outbox", database=self._database.name)
            found = 0
        self._is_look_due |= found >= BATCH
        return found

    def _send_told(self) -> int:
        fresh = list(islice(self._told, BATCH))
        for _ in fresh:
            self._told.popleft()
        self._begin(fresh)
        return len(fresh)

    async def _send_found(self) -> int:
        room = WINDOW - len(self._under_way)
        if room <= 0:
            return 0
        rows = await self._database.all(UNSENT_EVENTS, limit=len(self._under_way) + min(BATCH, room))
        fresh = [_DECODER.decode(row["envelope"]) for row in rows if row["event_id"] not in self._under_way]
        self._under_way.update(int(event.id) for event in fresh)
        self._begin(fresh)
        return len(fresh)

    def _begin(self, events: Sequence[Envelope]) -> None:
        if events:
            task = asyncio.create_task(self._send(events))
            self._sending[task] = None
            task.add_done_callback(self._sending.pop)

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

    async def _send(self, events: Sequence[Envelope]) -> None:
        try:
            await self._bus.publish(events)
            sent = [(event.slot, int(event.id)) for event in events]
            async with self._database.write(*{slot for slot, _ in sent}) as tx:
                await tx.run(REMOVE_EVENTS, rows=sent)
        except Exception:
            self._failed += 1
            log.exception(
                "events not published; they stay in the outbox", database=self._database.name, count=len(events)
            )
        finally:
            self._under_way.difference_update(int(event.id) for event in events)
