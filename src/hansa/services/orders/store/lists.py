"""Lists of orders, and which pending ones are due to be looked after."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, bindparam, cast, func, select, update

from hansa.kernel.clock import from_micros, to_micros
from hansa.kernel.ids import order_number, slot_of
from hansa.kernel.money import Money
from hansa.platform.database.port import Database, Reader, Row, Transaction
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import COUNT, ID, MOMENT, SLOT, TEXT
from hansa.services.orders.contract import OrderSummary
from hansa.services.orders.tables import ORDERS

_summary = (
    select(ORDERS.c.order_id, ORDERS.c.status, ORDERS.c.total, ORDERS.c.currency, ORDERS.c.pieces, ORDERS.c.created_at)
    .where(ORDERS.c.order_id > bindparam("after", type_=ID), ORDERS.c.order_id < bindparam("before", type_=ID))
    .limit(bindparam("most", type_=COUNT))
)
_NEWEST, _OLDEST = ORDERS.c.order_id.desc(), ORDERS.c.order_id.asc()


def _list(order: ColumnElement[Any], *conditions: Any) -> Statement:
    clause: Select[Any] = _summary.where(*conditions).order_by(order)
    return Statement(clause)


_OF_STATUS = ORDERS.c.status == bindparam("of_status", type_=TEXT)
LIST_ALL = {True: _list(_NEWEST), False: _list(_OLDEST)}
LIST_BY_STATUS = {True: _list(_NEWEST, _OF_STATUS), False: _list(_OLDEST, _OF_STATUS)}
"""By whether the newest come first."""
LIST_OF_MEMBER = _list(
    _NEWEST, ORDERS.c.slot == bindparam("of_slot", type_=SLOT), ORDERS.c.member == bindparam("of_member", type_=ID)
)

_some = select(ORDERS.c.order_id).where(_OF_STATUS).limit(bindparam("most", type_=COUNT)).subquery()
COUNT_STATUS = Statement(select(func.count().label("orders")).select_from(_some))
_latest = (
    select(ORDERS.c.status, ORDERS.c.currency, ORDERS.c.total)
    .where(ORDERS.c.order_id > bindparam("after", type_=ID))
    .order_by(_NEWEST)
    .limit(bindparam("most", type_=COUNT))
    .subquery()
)
SUM_LATEST = Statement(
    select(
        _latest.c.status,
        _latest.c.currency,
        func.count().label("orders"),
        # A sum of whole numbers is of another type on PostgreSQL.
        cast(func.sum(_latest.c.total), COUNT).label("total"),
    ).group_by(_latest.c.status, _latest.c.currency)
)

DUE_ORDERS = Statement(
    select(ORDERS.c.slot, ORDERS.c.order_id, ORDERS.c.resume_at, ORDERS.c.attempts)
    .where(ORDERS.c.resume_at <= bindparam("now", type_=MOMENT))
    .order_by(ORDERS.c.resume_at)
    .limit(bindparam("most", type_=COUNT))
)
_DUE = rows_parameter("due", slot=SLOT, order_id=ID, seen_at=MOMENT, next_at=MOMENT)
_due = (ORDERS.c.slot == _DUE.c.slot, ORDERS.c.order_id == _DUE.c.order_id, ORDERS.c.resume_at == _DUE.c.seen_at)
LOCK_DUE = Statement(
    select(ORDERS.c.order_id).where(*_due).order_by(ORDERS.c.slot, ORDERS.c.order_id).with_for_update(of=ORDERS)
)
POSTPONE = Statement(
    update(ORDERS)
    .where(*_due)
    .values(resume_at=_DUE.c.next_at, attempts=ORDERS.c.attempts + 1)
    .returning(ORDERS.c.order_id)
)


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A pending order to be looked after, and how often it has been already."""

    order_id: str
    resume_at: int
    attempts: int


class Sum(msgspec.Struct, frozen=True, kw_only=True):
    """The orders of one status and currency: how many, and their totals in minor units."""

    status: str
    currency: str
    orders: int
    total: int


async def of_member(reader: Reader, *, member: str, after: int, before: int, limit: int) -> tuple[OrderSummary, ...]:
    """A member's orders between two ids, newest first."""
    rows = await reader.all(
        LIST_OF_MEMBER, of_slot=slot_of(member), of_member=int(member), after=after, before=before, most=limit
    )
    return tuple(_summarized(row) for row in rows)


async def of_everybody(
    reader: Reader, *, after: int, before: int, limit: int, is_newest_first: bool, status: str | None
) -> tuple[OrderSummary, ...]:
    """Everybody's orders between two ids, or those of a status."""
    common: dict[str, Any] = {"after": after, "before": before, "most": limit}
    if status is None:
        rows = await reader.all(LIST_ALL[is_newest_first], **common)
    else:
        rows = await reader.all(LIST_BY_STATUS[is_newest_first], of_status=status, **common)
    return tuple(_summarized(row) for row in rows)


async def count(reader: Reader, *, status: str, limit: int) -> int:
    """How many orders have a status, counted no further than the limit."""
    row = await reader.one(COUNT_STATUS, of_status=status, most=limit)
    return int(row["orders"]) if row else 0


async def sums(reader: Reader, *, after: int, limit: int) -> list[Sum]:
    """Of the latest orders with ids beyond one, so many at most, by status and currency."""
    rows = await reader.all(SUM_LATEST, after=after, most=limit)
    return [
        Sum(status=row["status"], currency=row["currency"], orders=row["orders"], total=row["total"]) for row in rows
    ]


async def due(reader: Reader | Database, *, at: datetime, limit: int) -> list[Due]:
    rows = await reader.all(DUE_ORDERS, now=to_micros(at), most=limit)
    return [Due(order_id=str(row["order_id"]), resume_at=row["resume_at"], attempts=row["attempts"]) for row in rows]


async def postpone(tx: Transaction, later: Sequence[tuple[Due, datetime]]) -> list[str]:
    """Say when to look after due orders next; answers the ids of those that nobody else was faster with."""
    rows = sorted(
        (slot_of(due.order_id), int(due.order_id), due.resume_at, to_micros(next_at)) for due, next_at in later
    )
    await tx.run(LOCK_DUE, due=rows)
    return [str(row["order_id"]) for row in await tx.all(POSTPONE, due=rows)]


def _summarized(row: Row) -> OrderSummary:
    order_id = str(row["order_id"])
    return OrderSummary(
        id=order_id,
        number=order_number(order_id),
        status=row["status"],
        total=Money(row["total"], row["currency"]),
        pieces=row["pieces"],
        created_at=from_micros(row["created_at"]),
    )
