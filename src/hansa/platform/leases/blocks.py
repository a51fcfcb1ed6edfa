"""The last bits of ids: a process that shares its databases with others makes its ids in a block of its own.

Blocks that were never held go first, then those that ran out longest ago; one is free again only some time after it ran
out, so that clocks that disagree a little do not matter. A process that could not renew in time makes no ids any more.
"""

import math
from datetime import timedelta

from hansa.kernel.clock import Clock, to_micros
from hansa.kernel.errors import Fault
from hansa.kernel.ids import SEQUENCES, Ids
from hansa.platform.database.port import Database, Transaction
from hansa.platform.leases.ranges import LEAVE_ALL, OF_NAME, TAKE

BLOCKS = 64
EACH = SEQUENCES // BLOCKS
"""Identifiers a millisecond; when they are used up, the next millisecond's are borrowed."""
HELD = timedelta(seconds=60)
GRACE = timedelta(minutes=5)
RENEW_EVERY_S = 10.0
NAME = "ids/"


class NoBlockLeft(Fault):
    """As many processes share the databases as there are blocks, or have done so within some minutes."""


class SequenceBlock:
    """The block of one process (`holder`), as long as it renews it."""

    def __init__(self, *, database: Database, holder: str, ids: Ids, clock: Clock) -> None:
        self._database = database
        self._holder = holder
        self._ids = ids
        self._clock = clock
        self._number = -1

    async def take(self) -> None:
        """Before any id is made. Raises NoBlockLeft."""
        began = self._clock.monotonic()
        async with self._database.write(0) as tx:
            until = {row["name"]: row["until"] for row in await tx.all(OF_NAME, name=NAME, members=NAME)}
            for number in sorted(range(BLOCKS), key=lambda number: until.get(_name(number), 0)):
                if await self._hold(tx, number):
                    self._number = number
                    break
            else:
                raise NoBlockLeft(f"all {BLOCKS} blocks of ids are in use; they are free {GRACE} after their last use")
        self._use(began)

    async def renew(self) -> None:
        """Keep it; if somebody else has it by now, take another one."""
        began = self._clock.monotonic()
        async with self._database.write(0) as tx:
            is_ours = await self._hold(tx, self._number)
        if is_ours:
            self._use(began)
        else:
            await self.take()

    async def leave(self) -> None:
        """Let go of it: no ids are made any more, and others may have it at once."""
        self._ids.use(range(0), until=-math.inf)
        async with self._database.write(0) as tx:
            await tx.run(LEAVE_ALL, of_holder=self._holder)

    def _use(self, began: float) -> None:
        block = range(self._number * EACH, (self._number + 1) * EACH)
        self._ids.use(block, until=began + HELD.total_seconds())

    async def _hold(self, tx: Transaction, number: int) -> bool:
        now = self._clock.now()
        row = (0, _name(number), self._holder, to_micros(now + HELD))
        taken = await tx.all(TAKE, rows=[row], now=to_micros(now - GRACE), latest=to_micros(now + HELD + GRACE))
        return bool(taken)


def _name(number: int) -> str:
    return f"{NAME}{number:02}"
