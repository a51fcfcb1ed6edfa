"""Group commit: while one transaction commits the next batch gathers by itself, and each commit serves many callers.

::

    self._adding = Batcher(database=database, act=self._add_all, slots=lambda wish: (wish.slot,))
    order = await self._adding.submit(wish)

Nothing waits for a batch to fill: a lone caller is served at once. Safety never depends on a batcher being alone: what
it runs must hold by conditional updates and unique keys, with any number of batchers on one database.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextvars import Context
from typing import Any, Generic, TypeVar

from hansa.kernel.errors import Fault, StorageBusy, StorageFull
from hansa.platform.database.port import Database, Transaction, forbid_open_transaction

Item = TypeVar("Item")
Answer = TypeVar("Answer")

LARGEST_BATCH = 256
"""Items served at once; more wait for the next batch."""

MOST_BUSY = 2
"""Single items in a row for which the database is busy, until it is for all of the batch."""
MOST_WAITING = 64 * LARGEST_BATCH
"""Items in the queue, past which nothing more is taken."""

Act = Callable[[Transaction, Sequence[Item]], Awaitable[Sequence[Answer | Exception]]]
"""Answers each item in the order of arrival; an exception among the answers is its caller's alone."""
Look = Callable[[Sequence[Item]], Awaitable[Sequence[Answer | Exception]]]
"""The same for what only reads."""


class _Gathering(ABC, Generic[Item, Answer]):
    """Callers who come while a batch is being served are the next batch."""

    def __init__(self, *, name: str, largest: int) -> None:
        self._name = name
        self._largest = largest
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._running: asyncio.Task[None] | None = None
        self._is_closed = False

    async def submit(self, item: Item) -> Answer:
        """What was answered for the item; it goes on if the caller leaves.

        Raises the item's own exception; a Fault if the batch broke and nobody knows what was kept; StorageFull or
        StorageBusy if nothing was.
        """
        forbid_open_transaction("a batch was asked for")
        if self._is_closed:
            raise self._broken_off()
        if len(self._waiting) >= MOST_WAITING:
            raise StorageBusy(f"too many wait for batches of {self._name}")
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((item, outcome))
        if self._running is None:
            # A context of its own: the batch belongs to no caller, so nobody's deadline or correlation applies to it.
            self._running = loop.create_task(self._run(), name=f"batches-{self._name}", context=Context())
        return await outcome

    async def close(self) -> None:
        """Break off what is under way, as if the process had died: its callers get a Fault, and so does who comes."""
        self._is_closed = True
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        while self._waiting:
            _fail(self._waiting.popleft()[1], self._broken_off())

    @abstractmethod
    async def _perform(self, items: Sequence[Item]) -> Sequence[Answer | Exception]: ...

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._largest))]
                try:
                    await self._serve(batch)
                except BaseException as end:
                    is_closed = isinstance(end, asyncio.CancelledError)
                    for _, outcome in batch:
                        _fail(outcome, self._broken_off() if is_closed else end)
                    raise
        finally:
            self._running = None

    async def _serve(self, batch: Sequence[tuple[Item, "asyncio.Future[Answer]"]]) -> None:
        try:
            answers = await self._perform([item for item, _ in batch])
            if len(answers) != len(batch):
                raise Fault(f"{len(batch)} items of {self._name} were given {len(answers)} answers")
        except Exception as error:
            if len(batch) > 1 and _kept_nothing(error):
                await self._serve_singly(batch)
                return
            for _, outcome in batch:
                _fail(outcome, error)
            return
        for (_, outcome), answer in zip(batch, answers, strict=True):
            if isinstance(answer, Exception):
                _fail(outcome, answer)
            elif not outcome.done():
                outcome.set_result(answer)

    async def _serve_singly(self, batch: Sequence[tuple[Item, "asyncio.Future[Answer]"]]) -> None:
        """One bad item must not hurt its neighbours: each by itself. But where the database is too busy for single ones
        too, the others are not made to wait for the same, one after the other."""
        times_busy = 0
        for member in batch:
            outcome = member[1]
            if times_busy >= MOST_BUSY:
                _fail(outcome, StorageBusy(f"{self._name} is busy"))
                continue
            await self._serve([member])
            is_busy = outcome.done() and not outcome.cancelled() and isinstance(outcome.exception(), StorageBusy)
            times_busy = times_busy + 1 if is_busy else 0

    def _broken_off(self) -> Fault:
        return Fault(f"a batch of {self._name} was broken off")


class Batcher(_Gathering[Item, Answer]):
    """Runs one kind of write for many callers in one transaction. `slots` names where an item's rows lie."""

    def __init__(
        self,
        *,
        database: Database,
        act: Act[Item, Answer],
        slots: Callable[[Item], Iterable[int]],
        largest: int = LARGEST_BATCH,
    ) -> None:
        super().__init__(name=database.name, largest=largest)
        self._database = database
        self._act = act
        self._slots = slots

    async def _perform(self, items: Sequence[Item]) -> Sequence[Answer | Exception]:
        slots = {slot for item in items for slot in self._slots(item)}
        async with self._database.write(*slots) as tx:
            return await self._act(tx, items)


class Gatherer(_Gathering[Item, Answer]):
    """Runs one kind of look-up for many callers at once: what each sees was read after it asked."""

    def __init__(self, *, name: str, look: Look[Item, Answer], largest: int = LARGEST_BATCH) -> None:
        super().__init__(name=name, largest=largest)
        self._look = look

    async def _perform(self, items: Sequence[Item]) -> Sequence[Answer | Exception]:
        return await self._look(items)


def _kept_nothing(error: Exception) -> bool:
    """Whether the batch is certain to have left no trace, and one of its members may be to blame."""
    return isinstance(error, StorageBusy) or not isinstance(error, (Fault, StorageFull))


def _fail(outcome: "asyncio.Future[Any]", error: BaseException) -> None:
    if not outcome.done():
        outcome.set_exception(error)
        outcome.exception()  # seen: of a caller who left it would be logged as lost
