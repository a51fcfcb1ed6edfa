"""Every statement on the tables of payments. All take sets; rows are locked in the order of their keys."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Table, and_, bindparam, delete, select, update

from hansa.platform.database.port import Database, Reader, Row, Transaction
from hansa.platform.database.rows import insert_rows, row_of
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import COUNT, FLAG, ID, MOMENT, SLOT, TEXT
from hansa.services.payments.tables import INTENTS, NOTICES, REFUNDS

LARGEST_REFUNDS = 1_000
"""Refunds of one order that are ever shown."""

Values = Mapping[str, Any]
"""The columns of a row by name."""


def _adding(table: Table) -> Statement:
    """Insert whole rows, except those that are there already; returns the keys of what was inserted."""
    return Statement(insert_rows(table).on_conflict_do_nothing().returning(*table.primary_key.columns))


ADD_INTENTS, ADD_REFUNDS, ADD_NOTICES = _adding(INTENTS), _adding(REFUNDS), _adding(NOTICES)

_PLACES = rows_parameter("places", slot=SLOT, order_id=ID)
_at_places = and_(INTENTS.c.slot == _PLACES.c.slot, INTENTS.c.order_id == _PLACES.c.order_id)
_intents_at_places = select(INTENTS).where(_at_places).order_by(INTENTS.c.slot, INTENTS.c.order_id)
FIND_INTENTS = Statement(_intents_at_places)
LOCK_INTENTS = Statement(_intents_at_places.with_for_update(of=INTENTS))

_CHANGED: dict[str, Any] = {
    "slot": SLOT,
    "order_id": ID,
    "since": COUNT,
    "version": COUNT,
    "state": TEXT,
    "reference": TEXT,
    "reason": TEXT,
    "token": TEXT,
    "captured": COUNT,
    "refunding": COUNT,
    "refunded": COUNT,
    "is_closed": FLAG,
    "attempts": COUNT,
    "next_look_at": MOMENT,
}
_CHANGES = rows_parameter("changes", **_CHANGED)
CHANGE_INTENTS = Statement(
    update(INTENTS)
    .where(
        INTENTS.c.slot == _CHANGES.c.slot,
        INTENTS.c.order_id == _CHANGES.c.order_id,
        INTENTS.c.version == _CHANGES.c.since,
    )
    .values({name: _CHANGES.c[name] for name in _CHANGED if name not in ("slot", "order_id", "since")})
    .returning(INTENTS.c.order_id)
)
_SETTLED_INTENTS = rows_parameter(
    "settled_intents",
    slot=SLOT,
    order_id=ID,
    since=COUNT,
    state=TEXT,
    reference=TEXT,
    reason=TEXT,
    token=TEXT,
    captured=COUNT,
    next_look_at=MOMENT,
)
_AS_SEEN = (
    select(_SETTLED_INTENTS)
    .join(
        INTENTS,
        and_(
            INTENTS.c.slot == _SETTLED_INTENTS.c.slot,
            INTENTS.c.order_id == _SETTLED_INTENTS.c.order_id,
            INTENTS.c.version == _SETTLED_INTENTS.c.since,
        ),
    )
    # An UPDATE alone would lock in whatever order the plan has.
    .order_by(INTENTS.c.slot, INTENTS.c.order_id)
    .with_for_update(of=INTENTS)
    .subquery("as_seen")
)
SETTLE_INTENTS = Statement(
    update(INTENTS)
    .where(INTENTS.c.slot == _AS_SEEN.c.slot, INTENTS.c.order_id == _AS_SEEN.c.order_id)
    .values(
        version=_AS_SEEN.c.since + 1,
        **{name: _AS_SEEN.c[name] for name in ("state", "reference", "reason", "token", "captured", "next_look_at")},
    )
    .returning(INTENTS.c.order_id)
)
DUE_INTENTS = Statement(
    select(INTENTS.c.slot, INTENTS.c.order_id)
    .where(INTENTS.c.next_look_at <= bindparam("now"))
    .order_by(INTENTS.c.next_look_at)
    .limit(bindparam("limit"))
)

FIND_REFUND = Statement(
    select(REFUNDS).where(
        REFUNDS.c.slot == bindparam("slot"),
        REFUNDS.c.order_id == bindparam("order_id"),
        REFUNDS.c.key == bindparam("key"),
    )
)
LIST_REFUNDS = Statement(
    select(REFUNDS)
    .where(REFUNDS.c.slot == bindparam("slot"), REFUNDS.c.order_id == bindparam("order_id"))
    .order_by(REFUNDS.c.refund_id)
    .limit(LARGEST_REFUNDS)
)
DUE_REFUNDS = Statement(
    select(REFUNDS.c.slot, REFUNDS.c.order_id, REFUNDS.c.refund_id)
    .where(REFUNDS.c.next_look_at <= bindparam("now"))
    .order_by(REFUNDS.c.next_look_at)
    .limit(bindparam("limit"))
)
_REFUND_PLACES = rows_parameter("places", slot=SLOT, order_id=ID, refund_id=ID)
_refunds_at_places = (
    select(REFUNDS)
    .where(
        REFUNDS.c.slot == _REFUND_PLACES.c.slot,
        REFUNDS.c.order_id == _REFUND_PLACES.c.order_id,
        REFUNDS.c.refund_id == _REFUND_PLACES.c.refund_id,
    )
    .order_by(REFUNDS.c.slot, REFUNDS.c.order_id, REFUNDS.c.refund_id)
)
FIND_REFUNDS = Statement(_refunds_at_places)
LOCK_REFUNDS = Statement(_refunds_at_places.with_for_update(of=REFUNDS))
_POSTPONED = rows_parameter("postponed", slot=SLOT, order_id=ID, refund_id=ID, attempts=COUNT, next_look_at=MOMENT)
POSTPONE_REFUNDS = Statement(
    update(REFUNDS)
    .where(
        REFUNDS.c.slot == _POSTPONED.c.slot,
        REFUNDS.c.order_id == _POSTPONED.c.order_id,
        REFUNDS.c.refund_id == _POSTPONED.c.refund_id,
        REFUNDS.c.attempts == _POSTPONED.c.attempts - 1,
        REFUNDS.c.state == "pending",
    )
    .values(attempts=_POSTPONED.c.attempts, next_look_at=_POSTPONED.c.next_look_at)
    .returning(REFUNDS.c.refund_id)
)
_SETTLED = rows_parameter("settled", slot=SLOT, order_id=ID, refund_id=ID, state=TEXT, answer=TEXT)
SETTLE_REFUNDS = Statement(
    update(REFUNDS)
    .where(
        REFUNDS.c.slot == _SETTLED.c.slot,
        REFUNDS.c.order_id == _SETTLED.c.order_id,
        REFUNDS.c.refund_id == _SETTLED.c.refund_id,
        REFUNDS.c.state == "pending",
    )
    .values(state=_SETTLED.c.state, answer=_SETTLED.c.answer, next_look_at=None)
    .returning(REFUNDS.c.refund_id)
)
FORGET_NOTICES = Statement(delete(NOTICES).where(NOTICES.c.heard_at < bindparam("before")))


async def add_intents(tx: Transaction, *, intents: Iterable[tuple[Any, ...]]) -> set[int]:
    """Add the intents of orders that have none, whole rows in the order of the columns; returns these orders."""
    rows = await tx.all(ADD_INTENTS, rows=list(intents))
    return {row["order_id"] for row in rows}


async def find_intents(reader: Reader, *, places: Iterable[tuple[int, int]]) -> Sequence[Row]:
    return await reader.all(FIND_INTENTS, places=sorted(set(places)))


async def lock_intents(tx: Transaction, *, places: Iterable[tuple[int, int]]) -> Sequence[Row]:
    """The intents as they are, and as they stay until this transaction ends."""
    return await tx.all(LOCK_INTENTS, places=sorted(set(places)))


async def change_intents(tx: Transaction, *, intents: Iterable[Values]) -> set[int]:
    """Write what may change of intents, each over its version named `since`; returns those that were written."""
    changes = [tuple(intent[name] for name in _CHANGED) for intent in intents]
    rows = await tx.all(CHANGE_INTENTS, changes=changes)
    return {row["order_id"] for row in rows}


async def settle_intents(tx: Transaction, *, settled: Sequence[tuple[Any, ...]]) -> set[int]:
    """Write the first word of providers, each over the version before; returns the orders where that was written."""
    return {row["order_id"] for row in await tx.all(SETTLE_INTENTS, settled_intents=settled)}


async def due_intents(reader: Reader | Database, *, now: int, limit: int) -> list[tuple[int, int]]:
    """The places of intents that somebody should look at, the longest due first."""
    rows = await reader.all(DUE_INTENTS, now=now, limit=limit)
    return [(row["slot"], row["order_id"]) for row in rows]


async def add_refunds(tx: Transaction, *, refunds: Iterable[Values]) -> set[int]:
    """Add refunds whose keys are new to their orders; returns their ids."""
    rows = await tx.all(ADD_REFUNDS, rows=[row_of(REFUNDS, **refund) for refund in refunds])
    return {row["refund_id"] for row in rows}


async def find_refund(reader: Reader, *, slot: int, order_id: int, key: str) -> Row | None:
    return await reader.one(FIND_REFUND, slot=slot, order_id=order_id, key=key)


async def list_refunds(reader: Reader, *, slot: int, order_id: int) -> Sequence[Row]:
    """The refunds of an order, oldest first."""
    return await reader.all(LIST_REFUNDS, slot=slot, order_id=order_id)


async def due_refunds(reader: Reader | Database, *, now: int, limit: int) -> list[tuple[int, int, int]]:
    """The places of refunds that should be tried (again), the longest due first."""
    rows = await reader.all(DUE_REFUNDS, now=now, limit=limit)
    return [(row["slot"], row["order_id"], row["refund_id"]) for row in rows]


async def find_refunds(reader: Reader, *, places: Iterable[tuple[int, int, int]]) -> Sequence[Row]:
    return await reader.all(FIND_REFUNDS, places=sorted(set(places)))


async def lock_refunds(tx: Transaction, *, places: Iterable[tuple[int, int, int]]) -> Sequence[Row]:
    return await tx.all(LOCK_REFUNDS, places=sorted(set(places)))


async def postpone_refunds(tx: Transaction, *, postponed: Sequence[tuple[int, int, int, int, int]]) -> set[int]:
    """Count an attempt, and say when the next one is due; returns the refunds that nobody else took meanwhile."""
    rows = await tx.all(POSTPONE_REFUNDS, postponed=postponed)
    return {row["refund_id"] for row in rows}


async def settle_refunds(tx: Transaction, *, settled: Sequence[tuple[int, int, int, str, str]]) -> set[int]:
    """Write how pending refunds ended; returns those that had not ended before."""
    rows = await tx.all(SETTLE_REFUNDS, settled=settled)
    return {row["refund_id"] for row in rows}


async def add_notices(tx: Transaction, *, notices: Iterable[Values]) -> set[tuple[str, str]]:
    """Note webhooks; returns those that were never heard before, as provider and id."""
    rows = await tx.all(ADD_NOTICES, rows=[row_of(NOTICES, **notice) for notice in notices])
    return {(row["provider"], row["notice_id"]) for row in rows}


async def forget_notices(tx: Transaction, *, before: int) -> None:
    await tx.run(FORGET_NOTICES, before=before)
