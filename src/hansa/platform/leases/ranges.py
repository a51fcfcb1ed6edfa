"""Ranges of slots that processes share out among themselves: each is held by one of them, for a while.

A holder that dies loses its ranges when they run out; one that comes gets its share as the others renew. Two may hold
the same range, if their clocks disagree: whatever is done under such a lease must bear that. A lease that lasts longer
than any can, by our clock, is as good as run out, so that a clock that was ahead binds nobody.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from hansa.kernel.clock import Clock, to_micros
from hansa.kernel.ids import SLOTS
from hansa.platform.database.platform_tables import LEASES
from hansa.platform.database.port import Database, Transaction
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import MOMENT, SLOT, TEXT

RANGES = 8
EACH = SLOTS // RANGES
HELD = timedelta(seconds=15)
LONGEST = 2 * HELD
RENEW_EVERY_S = 5.0
_FIRST = tuple(range(0, SLOTS, EACH))
_MEMBER = "/member/"

OF_NAME = Statement(
    select(LEASES.c.slot, LEASES.c.name, LEASES.c.holder, LEASES.c.until)
    .where(
        or_(LEASES.c.name == bindparam("name", type_=TEXT), LEASES.c.name.startswith(bindparam("members", type_=TEXT)))
    )
    .order_by(LEASES.c.slot, LEASES.c.name)
)
_TAKEN = rows_parameter("rows", slot=SLOT, name=TEXT, holder=TEXT, until=MOMENT)
_TAKING = insert(LEASES).from_select(
    ["slot", "name", "holder", "until"],
    select(_TAKEN.c.slot, _TAKEN.c.name, _TAKEN.c.holder, _TAKEN.c.until)
    .where(_TAKEN.c.slot >= 0)
    .order_by(_TAKEN.c.slot, _TAKEN.c.name),
)
TAKE = Statement(
    _TAKING.on_conflict_do_update(
        index_elements=["slot", "name"],
        set_={"holder": _TAKING.excluded.holder, "until": _TAKING.excluded.until},
        where=or_(
            LEASES.c.holder == _TAKING.excluded.holder,
            LEASES.c.until < bindparam("now", type_=MOMENT),
            LEASES.c.until > bindparam("latest", type_=MOMENT),
        ),
    ).returning(LEASES.c.slot, LEASES.c.name)
)
_LEFT = rows_parameter("rows", slot=SLOT, name=TEXT)
LEAVE = Statement(
    delete(LEASES).where(
        LEASES.c.holder == bindparam("of_holder", type_=TEXT),
        tuple_(LEASES.c.slot, LEASES.c.name).in_(select(_LEFT.c.slot, _LEFT.c.name)),
    )
)
LEAVE_ALL = Statement(delete(LEASES).where(LEASES.c.holder == bindparam("of_holder", type_=TEXT)))
FORGET = Statement(delete(LEASES).where(LEASES.c.until < bindparam("before", type_=MOMENT)))


class SlotRanges:
    """The ranges that this process (`holder`) holds of those named `name`."""

    def __init__(self, *, database: Database, name: str, holder: str, clock: Clock) -> None:
        self._database = database
        self._name = name
        self._holder = holder
        self._clock = clock
        self._held: tuple[int, ...] = ()
        self._until = 0.0

    @property
    def held(self) -> Sequence[tuple[int, int]]:
        """First and last slot of each range, as of the last renewal; none once that is too long ago."""
        if self._clock.monotonic() >= self._until:
            return ()
        return [(first, first + EACH - 1) for first in self._held]

    async def renew(self) -> None:
        """Say that we are there, keep a fair share of the ranges, let go of more, and take those that nobody holds."""
        began = self._clock.monotonic()
        now = self._clock.now()
        async with self._database.write(*_FIRST) as tx:
            until = to_micros(now + HELD)
            await self._take(tx, [(0, self._member(self._holder), self._holder, until)], now=now)
            rows = await tx.all(OF_NAME, name=self._name, members=self._member(""))
            live = [row for row in rows if to_micros(now) <= row["until"] <= to_micros(now + LONGEST)]
            share = math.ceil(RANGES / max(1, sum(row["name"] != self._name for row in live)))
            ours = [row["slot"] for row in live if row["name"] == self._name and row["holder"] == self._holder]
            held = {row["slot"] for row in live if row["name"] == self._name}
            if len(ours) > share:
                await tx.run(LEAVE, rows=[(slot, self._name) for slot in ours[share:]], of_holder=self._holder)
            free = [slot for slot in _FIRST if slot not in held]
            wanted = [(slot, self._name, self._holder, until) for slot in (ours + free)[:share]]
            self._held = await self._take(tx, sorted(wanted), now=now)
            await tx.run(FORGET, before=to_micros(now - 4 * HELD))
        self._until = began + HELD.total_seconds()

    async def leave(self) -> None:
        """Let go of everything, for others to take at once."""
        self._held = ()
        async with self._database.write(*_FIRST) as tx:
            await tx.run(LEAVE_ALL, of_holder=self._holder)

    def _member(self, holder: str) -> str:
        return f"{self._name}{_MEMBER}{holder}"

    async def _take(
        self, tx: Transaction, rows: Sequence[tuple[int, str, str, int]], *, now: datetime
    ) -> tuple[int, ...]:
        taken = await tx.all(TAKE, rows=rows, now=to_micros(now), latest=to_micros(now + LONGEST))
        return tuple(sorted(row["slot"] for row in taken))
