"""Keeps the dead letters of all services: reads them from every database, delivers them again, discards them."""

import base64
import binascii
import heapq
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
import structlog
from sqlalchemy import bindparam, delete, select, tuple_, update

from hansa.kernel.clock import Clock, from_micros
from hansa.kernel.event import Envelope
from hansa.kernel.ids import LARGEST, Ids, is_id, slot_of
from hansa.kernel.page import Page, read_cursor, write_cursor
from hansa.platform.database.platform_tables import DEAD_LETTERS
from hansa.platform.database.port import Database, Row, Transaction
from hansa.platform.database.statement import Statement
from hansa.platform.database.tables import COUNT, ID, MOMENT, TEXT
from hansa.platform.outbox.dead_letters import SEALED, ConsumerGone, DeadLetter, NoSuchDeadLetter
from hansa.platform.outbox.inbox import LONGEST_ERROR, Inbox
from hansa.platform.security import audit
from hansa.platform.security.sealing import NONCE_BYTES, SEALED_VERSION
from hansa.platform.telemetry.privacy import Privacy

log = structlog.get_logger()

_CURSOR = "dead-letters"
_Position = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_SHORTEST_SEALED = len(SEALED_VERSION) + NONCE_BYTES + 16

PAGE = Statement(
    select(DEAD_LETTERS)
    .where(
        tuple_(DEAD_LETTERS.c.parked_at, DEAD_LETTERS.c.event_id, DEAD_LETTERS.c.consumer)
        < tuple_(
            bindparam("parked_at", type_=MOMENT), bindparam("event_id", type_=ID), bindparam("consumer", type_=TEXT)
        )
    )
    .order_by(DEAD_LETTERS.c.parked_at.desc(), DEAD_LETTERS.c.event_id.desc(), DEAD_LETTERS.c.consumer.desc())
    .limit(bindparam("most", type_=COUNT))
)
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


class DeadLetterOffice:
    """See `DeadLetters`. `inboxes` are known by service and consumer."""

    def __init__(
        self,
        *,
        databases: Mapping[str, Database],
        inboxes: Mapping[tuple[str, str], Inbox],
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._databases = databases
        self._inboxes = inboxes
        self._clock = clock
        self._ids = ids
        self._privacy = Privacy(clock=clock)

    async def list(self, *, service: str | None = None, limit: int = 20, cursor: str | None = None) -> Page[DeadLetter]:
        position = read_cursor(_CURSOR, cursor, _Position, str, _Position, str)
        names = sorted(name for name in self._databases if service in (None, name))
        found = [await self._page(name, position=position, most=limit + 1) for name in names]
        # Each database has its own order within a microsecond; here only the moments and the services are compared.
        merged = list(heapq.merge(*found, key=lambda letter: (-letter[1]["parked_at"], letter[0])))
        page = merged[:limit]
        more = None
        if len(merged) > limit:
            name, row = page[-1]
            more = write_cursor(_CURSOR, row["parked_at"], name, row["event_id"], row["consumer"])
        return Page(items=tuple(self._shown(name, row) for name, row in page), next_cursor=more)

    async def get(self, *, service: str, consumer: str, event_id: str) -> DeadLetter:
        return self._shown(service, await self._row(service, consumer, event_id))

    async def replay(self, *, service: str, consumer: str, event_id: str, actor: str) -> DeadLetter | None:
        row = await self._row(service, consumer, event_id)
        inbox = self._inboxes.get((service, consumer))
        if inbox is None:
            raise ConsumerGone(consumer=consumer)
        envelope = _envelope(row)

        async def remove(tx: Transaction) -> None:
            await self._remove(tx, consumer, event_id, actor=actor, action="dead_letters.replay")

        try:
            await inbox.replay(envelope, along=remove)
        except Exception as error:
            log.warning("event still cannot be digested", consumer=consumer, event_id=event_id, type=envelope.type)
            return await self._keep(service, consumer, event_id, error)
        return None

    async def discard(self, *, service: str, consumer: str, event_id: str, actor: str) -> None:
        database = self._database(service, event_id)
        async with database.write(slot_of(event_id)) as tx:
            if not await self._remove(tx, consumer, event_id, actor=actor, action="dead_letters.discard"):
                raise NoSuchDeadLetter()

    async def _page(self, name: str, *, position: tuple[Any, ...] | None, most: int) -> Sequence[tuple[str, Row]]:
        """The next letters of one service, where services follow each other by name within a moment."""
        after: tuple[int, int, str] = (LARGEST, 0, "")
        if position is not None:
            parked_at, service, event_id, consumer = position
            if name == service:
                after = (parked_at, event_id, consumer)
            else:
                after = (parked_at + 1 if name > service else parked_at, 0, "")
        rows = await self._databases[name].all(
            PAGE, parked_at=min(after[0], LARGEST), event_id=after[1], consumer=after[2], most=most
        )
        return [(name, row) for row in rows]

    async def _row(self, service: str, consumer: str, event_id: str) -> Row:
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

    async def _keep(self, service: str, consumer: str, event_id: str, error: Exception) -> DeadLetter | None:
        """The letter with its new error; None if somebody else has done with it meanwhile."""
        text = f"{type(error).__name__}: {error}"[:LONGEST_ERROR]
        async with self._databases[service].write(slot_of(event_id)) as tx:
            row = await tx.one(KEEP, new_error=text, **_named(consumer, event_id))
        return None if row is None else self._shown(service, row)

    def _shown(self, service: str, row: Row) -> DeadLetter:
        envelope = _envelope(row)
        return DeadLetter(
            service=service,
            consumer=row["consumer"],
            event_id=envelope.id,
            type=envelope.type,
            source=envelope.source,
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


def _named(consumer: str, event_id: str) -> dict[str, Any]:
    return {"of_slot": slot_of(event_id), "of_event": int(event_id), "of_consumer": consumer}


def _envelope(row: Row) -> Envelope:
    return msgspec.json.decode(row["envelope"], type=Envelope)


def _readable(body: bytes) -> str:
    return msgspec.json.format(msgspec.json.encode(_without_sealed(msgspec.json.decode(body)))).decode()


def _without_sealed(value: Any) -> Any:
    if isinstance(value, str):
        return SEALED if _is_sealed(value) else value
    if isinstance(value, dict):
        return {name: _without_sealed(inner) for name, inner in value.items()}
    return [_without_sealed(inner) for inner in value] if isinstance(value, list) else value


def _is_sealed(text: str) -> bool:
    """Whether a text looks like what a Box has sealed; what only looks so is hidden too."""
    if not _BASE64URL.fullmatch(text):
        return False
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return False
    return len(data) >= _SHORTEST_SEALED and data.startswith(SEALED_VERSION)
