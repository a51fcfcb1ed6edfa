"""Every statement on the log of deliveries; rows are taken and changed in the order of their keys."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast

import msgspec
from sqlalchemy import bindparam, delete, select, tuple_, update

from hansa.kernel.clock import from_micros, to_micros
from hansa.kernel.ids import first_id_at, slot_of
from hansa.platform.database.port import Database, Reader, Row, Transaction
from hansa.platform.database.rows import insert_rows, row_of
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import COUNT, ID, MOMENT, SLOT, TEXT
from hansa.services.notifications.contract import Delivery, DeliveryState
from hansa.services.notifications.tables import WEBHOOK_DELIVERIES, WEBHOOK_MESSAGES

_D = WEBHOOK_DELIVERIES.c
_M = WEBHOOK_MESSAGES.c


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is sent, and the webhooks that hear it."""

    event_id: str
    type: str
    body: str
    webhooks: tuple[str, ...]


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that was begun: `attempts` counts this one, too."""

    event_id: str
    webhook_id: str
    attempts: int
    body: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an attempt; `next_at` is there while it stays due."""

    delivery: Due
    state: str
    next_at: datetime | None
    status: int | None
    error: str
    took_ms: int


ADD_MESSAGES = Statement(insert_rows(WEBHOOK_MESSAGES).on_conflict_do_nothing())
ADD = Statement(insert_rows(WEBHOOK_DELIVERIES).on_conflict_do_nothing())
DUE = Statement(
    select(WEBHOOK_DELIVERIES)
    .where(_D.webhook_id == bindparam("of_webhook"), _D.next_at <= bindparam("now", type_=MOMENT))
    .order_by(_D.next_at, _D.event_id)
    .limit(bindparam("most", type_=COUNT))
)
_DUE = rows_parameter("due", slot=SLOT, event_id=ID, webhook_id=ID, seen_at=MOMENT)
_seen = (
    _D.slot == _DUE.c.slot,
    _D.event_id == _DUE.c.event_id,
    _D.webhook_id == _DUE.c.webhook_id,
    _D.next_at == _DUE.c.seen_at,
)
LOCK_DUE = Statement(
    select(_D.event_id).where(*_seen).order_by(_D.event_id, _D.slot).with_for_update(of=WEBHOOK_DELIVERIES)
)
TAKE = Statement(
    update(WEBHOOK_DELIVERIES)
    .where(*_seen)
    .values(next_at=bindparam("later", type_=MOMENT), attempts=_D.attempts + 1)
    .returning(_D.event_id, _D.attempts)
)
_WANTED = rows_parameter("wanted", slot=SLOT, event_id=ID)
BODIES = Statement(select(_M.event_id, _M.body).where(_M.slot == _WANTED.c.slot, _M.event_id == _WANTED.c.event_id))
_NOTES = rows_parameter(
    "notes",
    slot=SLOT,
    event_id=ID,
    webhook_id=ID,
    seen_attempts=COUNT,
    new_state=TEXT,
    new_next_at=MOMENT,
    new_status=COUNT,
    new_error=TEXT,
    new_took_ms=COUNT,
)
NOTE = Statement(
    update(WEBHOOK_DELIVERIES)
    .where(
        _D.slot == _NOTES.c.slot,
        _D.event_id == _NOTES.c.event_id,
        _D.webhook_id == _NOTES.c.webhook_id,
        _D.state == "due",
        # Somebody else may have begun another attempt since: then only that it has arrived is news.
        (_D.attempts == _NOTES.c.seen_attempts) | (_NOTES.c.new_state == "delivered"),
    )
    .values(
        state=_NOTES.c.new_state,
        next_at=_NOTES.c.new_next_at,
        status=_NOTES.c.new_status,
        error=_NOTES.c.new_error,
        took_ms=_NOTES.c.new_took_ms,
        last_at=bindparam("now", type_=MOMENT),
    )
)
_ONE = (
    _D.slot == bindparam("of_slot"),
    _D.event_id == bindparam("of_event"),
    _D.webhook_id == bindparam("of_webhook"),
)
FIND = Statement(select(WEBHOOK_DELIVERIES).where(*_ONE))
FIND_BODY = Statement(select(_M.body).where(_M.slot == bindparam("of_slot"), _M.event_id == bindparam("of_event")))
_ANEW = {"state": "due", "attempts": 0, "replays": _D.replays + 1, "next_at": bindparam("now", type_=MOMENT)}
REPLAY = Statement(update(WEBHOOK_DELIVERIES).where(*_ONE, _D.state != "due").values(_ANEW))
HASTEN = Statement(
    update(WEBHOOK_DELIVERIES)
    .where(*_ONE, _D.next_at > bindparam("soon", type_=MOMENT))
    .values(next_at=bindparam("now", type_=MOMENT))
)
_KEYS = (_D.event_id, _D.slot, _D.webhook_id)
_LOST = (
    select(*_KEYS)
    .where(
        _D.webhook_id == bindparam("of_webhook"),
        (_D.state == "failed") | (_D.state == "dropped"),
        _D.event_id >= bindparam("since", type_=ID),
    )
    .order_by(_D.event_id)
    .limit(bindparam("most", type_=COUNT))
)
REPLAY_LOST = Statement(
    update(WEBHOOK_DELIVERIES).where(tuple_(*_KEYS).in_(_LOST)).values(_ANEW).returning(_D.event_id)
)
_WAITING = (
    select(*_KEYS)
    .where(_D.webhook_id == bindparam("of_webhook"), _D.next_at.is_not(None))
    .order_by(_D.next_at)
    .limit(bindparam("most", type_=COUNT))
)
DROP = Statement(
    update(WEBHOOK_DELIVERIES)
    .where(tuple_(*_KEYS).in_(_WAITING), _D.state == "due")
    .values(state="dropped", next_at=None)
    .returning(_D.event_id)
)
_OLD = (
    select(*_KEYS)
    .where(_D.event_id < bindparam("before", type_=ID))
    .order_by(*_KEYS)
    .limit(bindparam("most", type_=COUNT))
)
FORGET = Statement(delete(WEBHOOK_DELIVERIES).where(tuple_(*_KEYS).in_(_OLD)).returning(_D.event_id))
_MESSAGE_KEYS = (_M.event_id, _M.slot)
_OLD_MESSAGES = (
    select(*_MESSAGE_KEYS)
    .where(_M.event_id < bindparam("before", type_=ID))
    .order_by(*_MESSAGE_KEYS)
    .limit(bindparam("most", type_=COUNT))
)
FORGET_MESSAGES = Statement(
    delete(WEBHOOK_MESSAGES).where(tuple_(*_MESSAGE_KEYS).in_(_OLD_MESSAGES)).returning(_M.event_id)
)


def _listing(*, is_of_one: bool, has_state: bool) -> Statement:
    wanted: list[Any] = [
        tuple_(_D.event_id, _D.webhook_id)
        < tuple_(bindparam("before_event", type_=ID), bindparam("before_webhook", type_=ID))
    ]
    if is_of_one:
        wanted.append(_D.webhook_id == bindparam("of_webhook"))
    if has_state:
        wanted.append(_D.state == bindparam("of_state"))
    return Statement(
        select(WEBHOOK_DELIVERIES)
        .where(*wanted)
        .order_by(_D.event_id.desc(), _D.webhook_id.desc())
        .limit(bindparam("most", type_=COUNT))
    )


LISTS = {
    (is_of_one, has_state): _listing(is_of_one=is_of_one, has_state=has_state)
    for is_of_one in (False, True)
    for has_state in (False, True)
}


async def add(tx: Transaction, messages: Iterable[Message], *, at: datetime) -> None:
    """Note events for the webhooks that hear them; what is noted already stays as it is."""
    now = to_micros(at)
    ordered = sorted(messages, key=lambda message: int(message.event_id))
    await tx.run(ADD_MESSAGES, rows=[(slot_of(each.event_id), int(each.event_id), each.body) for each in ordered])
    rows = [
        row_of(
            WEBHOOK_DELIVERIES,
            slot=slot_of(each.event_id),
            event_id=int(each.event_id),
            webhook_id=int(webhook_id),
            type=each.type,
            state="due",
            attempts=0,
            replays=0,
            next_at=now,
            status=None,
            error="",
            took_ms=None,
            noted_at=now,
            last_at=None,
        )
        for each in ordered
        for webhook_id in sorted(each.webhooks, key=int)
    ]
    await tx.run(ADD, rows=rows)


async def due(database: Database, *, webhook_id: str, at: datetime, limit: int) -> Sequence[Row]:
    """What is due at a webhook, the longest due first: rows to be taken."""
    return await database.all(DUE, of_webhook=int(webhook_id), now=to_micros(at), most=limit)


async def take(tx: Transaction, rows: Sequence[Row], *, until: datetime) -> list[Due]:
    """Begin attempts at deliveries, which nobody else begins before `until`; answers those nobody was faster with, in
    the order of the rows."""
    [webhook_id] = {row["webhook_id"] for row in rows}
    seen = sorted((row["slot"], row["event_id"], row["webhook_id"], row["next_at"]) for row in rows)
    await tx.run(LOCK_DUE, due=seen)
    taken = {row["event_id"]: row["attempts"] for row in await tx.all(TAKE, due=seen, later=to_micros(until))}
    wanted = sorted((row["slot"], row["event_id"]) for row in rows if row["event_id"] in taken)
    bodies = {row["event_id"]: row["body"] for row in await tx.all(BODIES, wanted=wanted)} if wanted else {}
    return [
        Due(
            event_id=str(row["event_id"]),
            webhook_id=str(webhook_id),
            attempts=taken[row["event_id"]],
            body=bodies.get(row["event_id"], ""),
        )
        for row in rows
        if row["event_id"] in taken
    ]


async def note(tx: Transaction, outcomes: Sequence[Outcome], *, at: datetime) -> None:
    """Say what became of attempts; of two words about one delivery the first stands."""
    notes = sorted(
        (
            (
                slot_of(each.delivery.event_id),
                int(each.delivery.event_id),
                int(each.delivery.webhook_id),
                each.delivery.attempts,
                each.state,
                to_micros(each.next_at) if each.next_at else None,
                each.status,
                each.error,
                each.took_ms,
            )
            for each in outcomes
        ),
        key=lambda row: row[:3],
    )
    await tx.run(NOTE, notes=notes, now=to_micros(at))


async def find(reader: Reader | Database, *, webhook_id: str, event_id: str) -> Delivery | None:
    row = await reader.one(FIND, **_named(webhook_id, event_id))
    return None if row is None else _delivery(row)


async def body(database: Database, *, event_id: str) -> str:
    row = await database.one(FIND_BODY, of_slot=slot_of(event_id), of_event=int(event_id))
    return "" if row is None else row["body"]


async def replay(tx: Transaction, *, webhook_id: str, event_id: str, at: datetime, soon: datetime) -> None:
    """Make a delivery due now: anew, or if it waits beyond `soon`, earlier. One that is being sent stays as it is."""
    named = _named(webhook_id, event_id)
    await tx.run(HASTEN, **named, now=to_micros(at), soon=to_micros(soon))
    await tx.run(REPLAY, **named, now=to_micros(at))


async def replay_lost(tx: Transaction, *, webhook_id: str, since: datetime, at: datetime, limit: int) -> int:
    """Make due what has failed or was dropped of the events since a moment; answers how many that were."""
    rows = await tx.all(
        REPLAY_LOST, of_webhook=int(webhook_id), since=first_id_at(since), now=to_micros(at), most=limit
    )
    return len(rows)


async def drop(tx: Transaction, *, webhook_id: str, limit: int) -> int:
    """Give up what is due at a webhook that is told nothing any more; answers how many that were."""
    return len(await tx.all(DROP, of_webhook=int(webhook_id), most=limit))


async def page(
    database: Database,
    *,
    webhook_id: str | None,
    state: str | None,
    before: tuple[int, int],
    limit: int,
) -> list[Delivery]:
    """The newest events first, beyond a pair of event and webhook."""
    wanted: dict[str, Any] = {} if webhook_id is None else {"of_webhook": int(webhook_id)}
    if state is not None:
        wanted["of_state"] = state
    statement = LISTS[webhook_id is not None, state is not None]
    rows = await database.all(statement, before_event=before[0], before_webhook=before[1], most=limit, **wanted)
    return [_delivery(row) for row in rows]


async def forget(tx: Transaction, *, before: datetime, limit: int) -> int:
    """Drop the log of events that happened before a moment; answers how many rows that were."""
    return len(await tx.all(FORGET, before=first_id_at(before), most=limit))


async def forget_messages(tx: Transaction, *, before: datetime, limit: int) -> int:
    """The same of what was sent of them."""
    return len(await tx.all(FORGET_MESSAGES, before=first_id_at(before), most=limit))


def _named(webhook_id: str, event_id: str) -> dict[str, int]:
    return {"of_slot": slot_of(event_id), "of_event": int(event_id), "of_webhook": int(webhook_id)}


def _delivery(row: Row) -> Delivery:
    return Delivery(
        webhook_id=str(row["webhook_id"]),
        event_id=str(row["event_id"]),
        type=row["type"],
        state=cast(DeliveryState, row["state"]),
        attempts=row["attempts"],
        replays=row["replays"],
        status=row["status"],
        error=row["error"],
        took_ms=row["took_ms"],
        noted_at=from_micros(row["noted_at"]),
        last_at=_moment(row["last_at"]),
        next_at=_moment(row["next_at"]),
    )


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
