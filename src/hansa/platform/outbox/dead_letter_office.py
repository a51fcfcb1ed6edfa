"""Keeps the dead letters of all services: reads them from every database, delivers them again, discards them."""

import heapq
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
import structlog
from sqlalchemy import Text, bindparam, cast, delete, func, literal, or_, select, tuple_, update

from hansa.kernel.clock import Clock, from_micros, to_micros
from hansa.kernel.event import Envelope
from hansa.kernel.ids import LARGEST, Ids, is_id, slot_of
from hansa.kernel.page import Page, read_cursor, write_cursor
from hansa.platform.cache.changes import Changes
from hansa.platform.database.idempotency import claim, decode, digest, keep
from hansa.platform.database.platform_tables import DEAD_LETTERS, GET_COMMAND
from hansa.platform.database.port import Database, Row, Transaction
from hansa.platform.database.statement import Statement
from hansa.platform.database.tables import COUNT, ID, MOMENT, TEXT
from hansa.platform.messaging.names import address_of, routing_key_of
from hansa.platform.outbox.dead_letters import (
    EVERY,
    SEALED,
    ConsumerGone,
    DeadLetter,
    Hearing,
    NoSuchDeadLetter,
    Order,
    Wanted,
)
from hansa.platform.outbox.inbox import LONGEST_ERROR, Inbox
from hansa.platform.outbox.tracing import DISCARDED, REPLAYED
from hansa.platform.security import audit
from hansa.platform.security.sealing import looks_sealed
from hansa.platform.telemetry.privacy import Privacy

log = structlog.get_logger()

_Position = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
Place = tuple[int, int, str]
"""When a letter was parked, its event and its consumer."""

_KEY = (DEAD_LETTERS.c.parked_at, DEAD_LETTERS.c.event_id, DEAD_LETTERS.c.consumer)
_AFTER = tuple_(
    bindparam("parked_at", type_=MOMENT), bindparam("event_id", type_=ID), bindparam("after_consumer", type_=TEXT)
)
_TYPE = bindparam("type", type_=TEXT)
# How every envelope begins as it was written by the inbox: what a body says cannot be taken for it.
_BEGINNING = (
    literal('{"id":"', Text)
    + cast(DEAD_LETTERS.c.event_id, Text)
    + literal('","type":"', Text)
    + _TYPE
    + literal('"', Text)
)
_WANTED = (
    or_(bindparam("consumer", type_=TEXT) == "", DEAD_LETTERS.c.consumer == bindparam("consumer", type_=TEXT)),
    or_(_TYPE == "", func.substr(DEAD_LETTERS.c.envelope, 1, func.length(_BEGINNING)) == _BEGINNING),
    func.lower(DEAD_LETTERS.c.error).like(bindparam("error", type_=TEXT), escape="\\"),
    DEAD_LETTERS.c.parked_at >= bindparam("since", type_=MOMENT),
    DEAD_LETTERS.c.parked_at < bindparam("until", type_=MOMENT),
)
PAGES = {
    "latest": Statement(
        select(DEAD_LETTERS)
        .where(tuple_(*_KEY) < _AFTER, *_WANTED)
        .order_by(*(column.desc() for column in _KEY))
        .limit(bindparam("most", type_=COUNT))
    ),
    "oldest": Statement(
        select(DEAD_LETTERS)
        .where(tuple_(*_KEY) > _AFTER, *_WANTED)
        .order_by(*_KEY)
        .limit(bindparam("most", type_=COUNT))
    ),
}
_ONE = (
    DEAD_LETTERS.c.slot == bindparam("of_slot"),
    DEAD_LETTERS.c.event_id == bindparam("of_event"),
    DEAD_LETTERS.c.consumer == bindparam("of_consumer"),
)
FIND = Statement(select(DEAD_LETTERS).where(*_ONE))
REMOVE = Statement(delete(DEAD_LETTERS).where(*_ONE).returning(DEAD_LETTERS.c.envelope, DEAD_LETTERS.c.attempts))
KEEP = Statement(
    update(DEAD_LETTERS)
    .where(*_ONE)
    .values(attempts=DEAD_LETTERS.c.attempts + 1, error=bindparam("new_error", type_=TEXT))
    .returning(*DEAD_LETTERS.c)
)

DEEPEST = 50
"""Levels of a body that are shown; nobody's event has as many."""
TOO_DEEP = "(too deep)"
UNREADABLE = "(cannot be shown)"


class DeadLetterOffice:
    """See `DeadLetters`. `inboxes` are known by service and consumer; `changes` are told what no longer holds."""

    def __init__(
        self,
        *,
        databases: Mapping[str, Database],
        inboxes: Mapping[tuple[str, str], Inbox],
        clock: Clock,
        ids: Ids,
        changes: Changes | None = None,
    ) -> None:
        self._databases = databases
        self._inboxes = inboxes
        self._clock = clock
        self._ids = ids
        self._changes = changes or Changes()
        self._privacy = Privacy(clock=clock)

    async def list(
        self, *, wanted: Wanted = EVERY, order: Order = "latest", limit: int = 20, cursor: str | None = None
    ) -> Page[DeadLetter]:
        if any("\0" in (text or "") for text in (wanted.consumer, wanted.type, wanted.error)):
            return Page(items=())  # which no text here has, and not every engine takes
        kind = f"dead-letters {order}"
        position = read_cursor(kind, cursor, _Position, str, _Position, str)
        names = sorted(name for name in self._databases if wanted.service in (None, name))
        found = [
            await self._page(name, wanted, order=order, after=_after(name, order, position), most=limit + 1)
            for name in names
        ]
        # Each database has its own order within a microsecond; here only the moments and the services are compared.
        way = -1 if order == "latest" else 1
        merged = list(heapq.merge(*found, key=lambda letter: (way * letter[1]["parked_at"], letter[0])))
        page = merged[:limit]
        more = None
        if len(merged) > limit:
            name, row = page[-1]
            more = write_cursor(kind, row["parked_at"], name, row["event_id"], row["consumer"])
        letters = (self._shown(name, row) for name, row in page)
        # Nobody finds out what is masked by looking for it.
        error = (wanted.error or "").lower()
        return Page(items=tuple(letter for letter in letters if error in letter.error.lower()), next_cursor=more)

    async def get(self, *, service: str, consumer: str, event_id: str) -> DeadLetter:
        return self._shown(service, await self._row(service, consumer, event_id))

    async def hearings(self) -> tuple[Hearing, ...]:
        return tuple(
            Hearing(service=service, consumer=name, type=inbox.consumer.hears.type)
            for (service, name), inbox in sorted(self._inboxes.items())
        )

    async def replay(self, *, key: str, service: str, consumer: str, event_id: str, actor: str) -> DeadLetter | None:
        database = self._database(service, event_id)
        key = _key(REPLAYED, key, consumer, event_id)
        if (kept := await _answer(database, event_id, key)) is not None:
            return decode(kept, DeadLetter | None)  # type: ignore[arg-type]
        row = await self._row(service, consumer, event_id)
        inbox = self._inboxes.get((service, consumer))
        if inbox is None:
            raise ConsumerGone(consumer=consumer)
        envelope = _envelope(row)

        async def remove(tx: Transaction) -> None:
            await self._remove(tx, consumer, event_id, actor=actor, action=REPLAYED)
            await self._keep_answer(tx, event_id, key, None)

        try:
            await inbox.replay(envelope, along=remove)
        except Exception as error:
            log.warning("event still cannot be digested", consumer=consumer, event_id=event_id, type=envelope.type)
            return await self._keep(service, consumer, event_id, error, key)
        self._changes.tell(inbox.consumer.changes)
        return None

    async def discard(self, *, key: str, service: str, consumer: str, event_id: str, actor: str) -> None:
        database = self._database(service, event_id)
        key = _key(DISCARDED, key, consumer, event_id)
        async with database.write(slot_of(event_id)) as tx:
            if await claim(tx, slot=slot_of(event_id), key=key, request="", now=self._clock.now()) is not None:
                return
            if not await self._remove(tx, consumer, event_id, actor=actor, action=DISCARDED):
                raise NoSuchDeadLetter()
            await keep(tx, slot=slot_of(event_id), key=key, answer=None)

    async def _page(
        self, name: str, wanted: Wanted, *, order: Order, after: Place, most: int
    ) -> Sequence[tuple[str, Row]]:
        """The next letters of one service."""
        rows = await self._databases[name].all(
            PAGES[order],
            parked_at=after[0],
            event_id=after[1],
            after_consumer=after[2],
            consumer=wanted.consumer or "",
            type=wanted.type or "",
            error=f"%{_literally((wanted.error or '').lower())}%",
            since=to_micros(wanted.since) if wanted.since else 0,
            until=to_micros(wanted.until) if wanted.until else LARGEST,
            most=most,
        )
        return [(name, row) for row in rows]

    async def _row(self, service: str, consumer: str, event_id: str) -> Row:
        if "\0" in consumer:
            raise NoSuchDeadLetter()
        database = self._database(service, event_id)
        row = await database.one(FIND, **_named(consumer, event_id))
        if row is None:
            raise NoSuchDeadLetter()
        return row

    def _database(self, service: str, event_id: str) -> Database:
        if service not in self._databases or not is_id(event_id):
            raise NoSuchDeadLetter()
        return self._databases[service]

    async def _remove(self, tx: Transaction, consumer: str, event_id: str, *, actor: str, action: str) -> bool:
        """Whether there was something to remove; of two who do it at once only one leaves an audit row."""
        row = await tx.one(REMOVE, **_named(consumer, event_id))
        if row is None:
            return False
        await audit.record(
            tx,
            slot=slot_of(event_id),
            audit_id=self._ids.new(slot=slot_of(event_id)),
            at=self._clock.now(),
            actor=actor,
            action=action,
            target=event_id,
            detail={"consumer": consumer, "type": _envelope(row).type, "attempts": row["attempts"]},
        )
        return True

    async def _keep(self, service: str, consumer: str, event_id: str, error: Exception, key: str) -> DeadLetter | None:
        """The letter with its new error; None if somebody else has done with it meanwhile."""
        text = f"{type(error).__name__}: {error}"[:LONGEST_ERROR]
        async with self._databases[service].write(slot_of(event_id)) as tx:
            row = await tx.one(KEEP, new_error=text, **_named(consumer, event_id))
            letter = None if row is None else self._shown(service, row)
            await self._keep_answer(tx, event_id, key, letter)
        return letter

    async def _keep_answer(self, tx: Transaction, event_id: str, key: str, answer: DeadLetter | None) -> None:
        """The first one stays: of two who ask at once with the same key, one has done it."""
        slot = slot_of(event_id)
        if await claim(tx, slot=slot, key=key, request="", now=self._clock.now()) is None:
            await keep(tx, slot=slot, key=key, answer=answer)

    def _shown(self, service: str, row: Row) -> DeadLetter:
        envelope = _envelope(row)
        return DeadLetter(
            service=service,
            consumer=row["consumer"],
            event_id=envelope.id,
            type=envelope.type,
            source=envelope.source,
            address=address_of(envelope.type),
            routing_key=routing_key_of(envelope.type),
            aggregate=envelope.aggregate,
            version=envelope.version,
            time=envelope.time,
            channel=envelope.channel,
            seller=envelope.seller,
            location=envelope.location,
            subject=envelope.subject,
            correlation=envelope.correlation,
            body=_readable(bytes(envelope.body)),
            error=self._privacy.of_text(row["error"]),
            attempts=row["attempts"],
            parked_at=from_micros(row["parked_at"]),
        )


def _after(name: str, order: Order, position: tuple[Any, ...] | None) -> Place:
    """Where the next page of one service begins; services follow each other by name within a moment."""
    is_latest = order == "latest"
    if position is None:
        return (LARGEST, 0, "") if is_latest else (0, 0, "")
    parked_at, service, event_id, consumer = position
    if name == service:
        return (parked_at, event_id, consumer)
    is_ahead = name > service
    if is_latest:
        return (min(parked_at + 1, LARGEST) if is_ahead else parked_at, 0, "")
    return (parked_at if is_ahead else min(parked_at + 1, LARGEST), 0, "")


def _literally(text: str) -> str:
    """A text as a part of a pattern."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _key(act: str, key: str, consumer: str, event_id: str) -> str:
    """One key may be for many letters."""
    return f"{act} {digest(key, consumer, event_id)}"


async def _answer(database: Database, event_id: str, key: str) -> str | None:
    row = await database.one(GET_COMMAND, slot=slot_of(event_id), key=key)
    return None if row is None else row["answer"]


def _named(consumer: str, event_id: str) -> dict[str, Any]:
    return {"of_slot": slot_of(event_id), "of_event": int(event_id), "of_consumer": consumer}


def _envelope(row: Row) -> Envelope:
    return msgspec.json.decode(row["envelope"], type=Envelope)


def _readable(body: bytes) -> str:
    """Whatever it is: one letter must not hide the others."""
    try:
        return msgspec.json.format(msgspec.json.encode(_without_sealed(msgspec.json.decode(body)))).decode()
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return UNREADABLE


def _without_sealed(value: Any, *, depth: int = 0) -> Any:
    if depth > DEEPEST:
        return TOO_DEEP
    if isinstance(value, str):
        return SEALED if looks_sealed(value) else value
    if isinstance(value, dict):
        return {name: _without_sealed(inner, depth=depth + 1) for name, inner in value.items()}
    return [_without_sealed(inner, depth=depth + 1) for inner in value] if isinstance(value, list) else value
