"""One queue as a process takes from it: what is there is one batch, the next batch waits for its acknowledgement.

It begins with one message at a time, until one that comes for the first time is done with. A message that ends whoever
takes it is thus found alone: RabbitMQ counts an end against every message that was under way, and the others would die
with it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import structlog
from aiormq.abc import DeliveredMessage

from hansa.kernel.clock import Clock
from hansa.platform.messaging.port import BusUnusable
from hansa.platform.messaging.rabbitmq.connecting import Line, Tap, Unreachable, trouble
from hansa.platform.messaging.rabbitmq.messages import Incoming, Outgoing, read
from hansa.platform.messaging.rabbitmq.publishing import Publisher

BATCH = 256
"""Most events of a batch."""
PREFETCH = 32
"""Messages under way to a consumer: a batch of full ones, and several more that wait."""
CAREFUL = 1
"""Messages under way to begin with; see the module."""
SHORTEST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 5.0
"""Between two attempts to put off what could not be digested."""

log = structlog.get_logger()

Take = Callable[[Sequence[Incoming]], Awaitable[list[Outgoing]]]
"""Does what there is to do about a batch, and says what must be published before it may be acknowledged."""


class Intake:
    """Lives as long as its bus, over all connections, so a consumer never has two batches at once."""

    def __init__(self, *, queue: str, take: Take, publisher: Publisher, clock: Clock) -> None:
        self.queue = queue
        self._take = take
        self._publisher = publisher
        self._clock = clock
        self._waiting: deque[Incoming] = deque()
        self._has_come = asyncio.Event()
        self._line: Line | None = None
        self._tap: Tap | None = None
        self._is_careful = True
        self._is_over = False

    async def begin(self, line: Line) -> None:
        """Take from the queue through this line. What came through another one, the broker sends again."""
        self._waiting.clear()
        self._line = line

        async def note(message: DeliveredMessage) -> None:
            if self._line is line:
                self._waiting.append(read(message))
                self._has_come.set()

        self._is_careful = True
        self._tap = Tap(line, self.queue, note)
        await self._tap.open(prefetch=CAREFUL)

    def end(self) -> None:
        """The batch that is under way is the last one."""
        self._is_over = True
        self._waiting.clear()
        self._has_come.set()

    async def run(self) -> None:
        while not self._is_over:
            batch = await self._gather()
            line = self._line
            if line is None or not batch:
                continue
            try:
                with trouble():
                    await self._handle(batch, line)
            except Unreachable as error:
                log.info("batch not acknowledged; it will be delivered again", queue=self.queue, error=str(error))
                line.lost.set()
            except Exception:  # what is not acknowledged comes again only over another connection
                log.exception("batch not handled; it will be delivered again", queue=self.queue)
                line.lost.set()

    async def _gather(self) -> list[Incoming]:
        await self._has_come.wait()
        batch: list[Incoming] = []
        events = 0
        while self._waiting:
            incoming = self._waiting[0]
            events += len(incoming.deliveries)
            if batch and events > BATCH:
                return batch
            batch.append(self._waiting.popleft())
        self._has_come.clear()
        return batch

    async def _handle(self, batch: Sequence[Incoming], line: Line) -> None:
        outgoing = await self._take(batch)
        await self._publish(outgoing, line)
        if line.lost.is_set():
            raise Unreachable("the connection has ended")
        last = batch[-1].message
        await last.channel.basic_ack(last.delivery_tag or 0, multiple=True)
        if self._is_careful and not batch[-1].times_delivered and self._line is line and self._tap is not None:
            self._is_careful = False
            await self._tap.open(prefetch=PREFETCH)

    async def _publish(self, messages: Sequence[Outgoing], line: Line) -> None:
        """Return when they are safe, or when the broker will deliver the batch anew anyway."""
        pause_s = SHORTEST_PAUSE_S
        while messages and not line.lost.is_set():
            try:
                failed = await self._publisher.publish(messages)
            except (Unreachable, BusUnusable) as error:
                reason = str(error)
            else:
                messages = [each.outgoing for each in failed]
                reason = failed[0].reason if failed else ""
            if messages:
                log.warning("events could not be put off", queue=self.queue, messages=len(messages), reason=reason)
                await self._clock.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
