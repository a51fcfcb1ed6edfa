"""Publishes what was committed, and deletes its row once an event is safe with the bus.

What this process commits it is told at once. All else, such as what another process left unsent, it finds by polling
unsent rows without locks, in the ranges of slots that it holds where several processes share a database. It never
remembers "the last id it saw": commits become visible out of order. Two relays at once publish twice at worst, which
consumers bear.

After a publication to a broker that failed a relay is *behind*: it sends all that is stored, whoever looks after it,
oldest first and one batch after the other, with growing pauses while the broker refuses, and what is new waits its
turn. So events of one aggregate keep their order through an outage, and a broker that is full is not pressed further.
The bus within the process fails for one consumer's sake; there the others do not wait.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Protocol

import msgspec
import structlog

from hansa.kernel.clock import Clock, to_micros
from hansa.kernel.event import Envelope
from hansa.platform.database.platform_tables import (
    NOTE_PUBLISHED,
    REMOVE_EVENTS,
    UNSENT_EVENTS,
    UNSENT_IN_RANGES,
)
from hansa.platform.database.port import Database, Row
from hansa.platform.messaging.port import Bus, NotPublished

BATCH = 256
WINDOW = 4096
"""Most events told or under way at once; past it the relay waits, and the outbox's age tells of it."""
LOOK_EVERY_S = 1.0
PATIENCE_S = 0.1
"""How long a publication has the relay to itself, while the next one gathers; one that meets trouble takes longer, and
the others do not wait for it."""
SHORTEST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
"""Between two attempts at a bus that refuses."""
FRESH_S = 2.0
"""How long an event is left to the process that committed it, until another one takes care of it."""

log = structlog.get_logger()
_DECODER = msgspec.json.Decoder(Envelope)


class Ranges(Protocol):
    """Which slots a relay looks after, among others on the same database (`leases.ranges`)."""

    @property
    def held(self) -> Sequence[tuple[int, int]]: ...


class Relay:
    """One service's relay in this process. Without `ranges` it is the only one."""

    def __init__(self, *, database: Database, bus: Bus, clock: Clock, ranges: Ranges | None = None) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._ranges = ranges
        self._under_way: set[int] = set()
        """Told of or being sent."""
        self._told: deque[Envelope] = deque()
        """Committed by this process, and still to be sent."""
        self._refused: set[int] = set()
        """By themselves, while we catch up: the others go past them."""
        self._seen: dict[int, float] = {}
        """Unsent events in our ranges, and when we first saw them."""
        self._is_look_due = True
        # A dictionary for its order: that of a set of tasks is the order of their addresses.
        self._sending: dict[asyncio.Task[bool], None] = {}
        self._failed = 0
        self._is_behind = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        database.on_commit_of_events(self._tell)

    def start(self) -> None:
        """Behind, where there is a broker: what an earlier process has left goes first."""
        self._is_behind = self._bus.has_broker
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
                if self._is_behind:
                    await self._catch_up()
                found = self._send_told()
                if self._is_look_due:
                    self._is_look_due = False
                    found += await self._attempt()
                if found and self._sending:
                    await asyncio.wait([next(reversed(self._sending))], timeout=PATIENCE_S)
                if found < BATCH and not self._is_behind:
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
        """They were committed. Those for which there is no room, or no turn yet, are found by looking."""
        room = 0 if self._is_behind else max(WINDOW - len(self._under_way), 0)
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
        fresh = await self._unsent(at_most=min(BATCH, room))
        self._under_way.update(int(event.id) for event in fresh)
        self._begin(fresh)
        return len(fresh)

    async def _unsent(self, *, at_most: int, everywhere: bool = False) -> list[Envelope]:
        """The oldest that are stored and not under way, in all slots or in those that we look after."""
        passed_over = self._under_way | self._refused if everywhere else self._under_way
        limit = len(passed_over) + at_most
        rows: Sequence[Row]
        if everywhere or self._ranges is None:
            rows = await self._database.all(UNSENT_EVENTS, limit=limit)
        elif held := self._ranges.held:
            stored = await self._database.all(UNSENT_IN_RANGES, ranges=held, limit=WINDOW)
            rows = self._no_longer_fresh(stored)[:limit]
        else:
            rows = ()
        return [_DECODER.decode(row["envelope"]) for row in rows if row["event_id"] not in passed_over]

    def _no_longer_fresh(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Those that were there some time ago: by our own patience, since nobody knows whose clock an id has its moment
        from."""
        now = self._clock.monotonic()
        self._seen = {row["event_id"]: self._seen.get(row["event_id"], now) for row in rows}
        return [row for row in rows if now - self._seen[row["event_id"]] >= FRESH_S]

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

    async def _catch_up(self) -> None:
        """Return when all that is stored has been sent, by whomever it was committed; see the module."""
        if self._sending:
            await asyncio.wait(self._sending)
        pause_s = SHORTEST_PAUSE_S
        while not await self._has_caught_up():
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _has_caught_up(self) -> bool:
        """False where the bus still refuses, all of it or some: others go past those."""
        self._refused.clear()
        while True:
            self._is_behind = True
            self._under_way.difference_update(int(event.id) for event in self._told)
            self._told.clear()
            sent = await self._send_stored()
            if sent is None:
                return False
            if sent < BATCH:
                # From here on what is committed is told, and what was committed until now is sent before it.
                self._is_behind = False
                sent = await self._send_stored()
                if sent is None:
                    return False
                if sent < BATCH:
                    break
        self._is_behind = bool(self._refused)
        return not self._refused

    async def _send_stored(self) -> int | None:
        """How many were sent of those that are stored, the oldest first; None if the bus refused."""
        if len(self._refused) > WINDOW - BATCH:
            return None
        try:
            fresh = await self._unsent(at_most=BATCH, everywhere=True)
        except Exception:
            log.exception("relay could not read the outbox", database=self._database.name)
            return None
        refused_before = len(self._refused)
        if fresh and not await self._send(fresh) and len(self._refused) == refused_before:
            return None
        return len(fresh)

    async def _send(self, events: Sequence[Envelope]) -> bool:
        """Whether all of them are safe with the bus."""
        try:
            try:
                await self._bus.publish(events)
            except NotPublished as error:
                left = {int(event.id) for event in error.events}
                self._refused |= left
                await self._note([event for event in events if int(event.id) not in left])
                raise
            await self._note(events)
        except Exception as error:
            self._failed += 1
            self._is_behind = self._bus.has_broker
            log.warning(
                "events not published; they stay in the outbox",
                database=self._database.name,
                count=len(events),
                error=f"{type(error).__name__}: {error}",
            )
            return False
        finally:
            self._under_way.difference_update(int(event.id) for event in events)
        return True

    async def _note(self, sent: Sequence[Envelope]) -> None:
        """They are safe with the bus."""
        rows = [(event.slot, int(event.id)) for event in sent]
        if not rows:
            return
        async with self._database.write(*{slot for slot, _ in rows}) as tx:
            await tx.run(REMOVE_EVENTS, rows=rows)
            if self._bus.has_broker:
                await tx.run(NOTE_PUBLISHED, rows=rows, now=to_micros(self._clock.now()))
