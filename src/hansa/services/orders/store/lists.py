"""Lists of orders, and which pending ones are due to be looked after."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Select, bindparam, select, update

from hansa.kernel.clock import from_micros, to_micros
from hansa.kernel.ids import LARGEST, order_number, slot_of
from hansa.kernel.money import Money
from hansa.platform.database.port import Database, Reader, Row, Transaction
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import COUNT, ID, MOMENT, SLOT, TEXT
from hansa.services.orders.contract import OrderSummary
from hansa.services.orders.tables import ORDERS

_summary = (
    select(ORDERS.c.order_id, ORDERS.c.status, ORDERS.c.total, ORDERS.c.currency, ORDERS.c.pieces, ORDERS.c.created_at)
    .where(ORDERS.c.order_id < bindparam("before", type_=ID))
    .order_by(ORDERS.c.order_id.desc())
    .limit(bindparam("most", type_=COUNT))
)


def _where(*conditions: Any) -> Statement:
    clause: Select[Any] = _summary.where(*conditions)
    return Statement(clause)


LIST_ALL = Statement(_summary)
LIST_BY_STATUS = _where(ORDERS.c.status == bindparam("of_status", type_=TEXT))
LIST_OF_MEMBER = _where(
    ORDERS.c.slot == bindparam("of_slot", type_=SLOT), ORDERS.c.member == bindparam("of_member", type_=ID)
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


async def summaries(
    reader: Reader, *, limit: int, before: int | None, member: str | None = None, status: str | None = None
) -> tuple[OrderSummary, ...]:
    """Orders older than `before`, newest first: a member's, those with a status, or all."""
    common: dict[str, Any] = {"before": LARGEST if before is None else before, "most": limit}
    if member is not None:
        rows = await reader.all(LIST_OF_MEMBER, of_slot=slot_of(member), of_member=int(member), **common)
    elif status is not None:
        rows = await reader.all(LIST_BY_STATUS, of_status=status, **common)
    else:
        rows = await reader.all(LIST_ALL, **common)
    return tuple(_summarized(row) for row in rows)


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
