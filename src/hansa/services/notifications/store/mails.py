"""Every statement on mails."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import bindparam, select, update

from hansa.kernel.clock import to_micros
from hansa.kernel.ids import slot_of
from hansa.platform.database.port import Database, Reader, Transaction
from hansa.platform.database.rows import insert_rows
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import COUNT, ID, MOMENT, SLOT, TEXT
from hansa.services.notifications.tables import MAILS


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that is due: `facts` is JSON, `contact` sealed; `attempts` counts those made, `next_at` is in micros."""

    order_id: str
    kind: str
    person: str
    contact: str
    locale: str
    facts: str
    attempts: int
    next_at: int


ADD = Statement(insert_rows(MAILS).on_conflict_do_nothing())
DUE = Statement(
    select(MAILS)
    .where(MAILS.c.next_at <= bindparam("now", type_=MOMENT))
    .order_by(MAILS.c.next_at)
    .limit(bindparam("most", type_=COUNT))
)
_DUE = rows_parameter("due", slot=SLOT, order_id=ID, kind=TEXT, seen_at=MOMENT, later_at=MOMENT)
_seen = (
    MAILS.c.slot == _DUE.c.slot,
    MAILS.c.order_id == _DUE.c.order_id,
    MAILS.c.kind == _DUE.c.kind,
    MAILS.c.next_at == _DUE.c.seen_at,
)
LOCK_DUE = Statement(
    select(MAILS.c.order_id)
    .where(*_seen)
    .order_by(MAILS.c.slot, MAILS.c.order_id, MAILS.c.kind)
    .with_for_update(of=MAILS)
)
TAKE = Statement(
    update(MAILS)
    .where(*_seen)
    .values(next_at=_DUE.c.later_at, attempts=MAILS.c.attempts + 1)
    .returning(MAILS.c.order_id, MAILS.c.kind)
)
_OVER = rows_parameter("over", slot=SLOT, order_id=ID, kind=TEXT, new_state=TEXT)
END = Statement(
    update(MAILS)
    .where(
        MAILS.c.slot == _OVER.c.slot,
        MAILS.c.order_id == _OVER.c.order_id,
        MAILS.c.kind == _OVER.c.kind,
        MAILS.c.state == "due",
    )
    .values(state=_OVER.c.new_state, contact="", next_at=None, updated_at=bindparam("now", type_=MOMENT))
)


async def add(tx: Transaction, mails: Sequence[Mail], *, at: datetime) -> None:
    """Write mails down; one of the same kind for the same order is there already and stays as it is."""
    now = to_micros(at)
    rows = [
        (
            slot_of(mail.order_id),
            int(mail.order_id),
            mail.kind,
            mail.person,
            mail.contact,
            mail.locale,
            mail.facts,
            "due",
            mail.attempts,
            mail.next_at,
            now,
            now,
        )
        for mail in mails
    ]
    rows.sort(key=lambda row: row[:3])
    await tx.run(ADD, rows=rows)


async def due(reader: Reader | Database, *, at: datetime, limit: int) -> list[Mail]:
    return [
        Mail(
            order_id=str(row["order_id"]),
            kind=row["kind"],
            person=row["person"],
            contact=row["contact"],
            locale=row["locale"],
            facts=row["facts"],
            attempts=row["attempts"],
            next_at=row["next_at"],
        )
        for row in await reader.all(DUE, now=to_micros(at), most=limit)
    ]


async def take(tx: Transaction, later: Sequence[tuple[Mail, datetime]]) -> set[tuple[str, str]]:
    """Begin an attempt at due mails, saying when the next would be; answers those nobody else was faster with."""
    rows = sorted(
        (slot_of(mail.order_id), int(mail.order_id), mail.kind, mail.next_at, to_micros(next_at))
        for mail, next_at in later
    )
    await tx.run(LOCK_DUE, due=rows)
    return {(str(row["order_id"]), row["kind"]) for row in await tx.all(TAKE, due=rows)}


async def end(tx: Transaction, over: Sequence[tuple[Mail, str]], *, at: datetime) -> None:
    """Say what became of mails, each with its new state, and forget whom they went to; the first word stands."""
    rows = sorted((slot_of(mail.order_id), int(mail.order_id), mail.kind, state) for mail, state in over)
    await tx.run(END, over=rows, now=to_micros(at))
