"""The tables that the platform keeps in every service's database, and the statements on them."""

from sqlalchemy import Index, MetaData, Table, bindparam, delete, exists, func, select, true, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import (
    COUNT,
    DOCUMENT,
    ID,
    MOMENT,
    NAMES,
    SLOT,
    TEXT,
    field,
    key,
    key_by,
    optional,
    slot,
)

METADATA = MetaData(naming_convention=NAMES)

OUTBOX = Table(
    "outbox",
    METADATA,
    slot(),
    key("event_id"),
    field("envelope", DOCUMENT),
    field("written_at", MOMENT),
    key_by("event_id", "slot"),
)
"""Events that are committed and not yet known to be published."""

PUBLISHED = Table(
    "published",
    METADATA,
    slot(),
    key("event_id"),
    field("published_at", MOMENT),
    key_by("event_id", "slot"),
    Index(None, "published_at"),
    sqlite_with_rowid=False,
)
"""When a broker confirmed an event. Without a broker nothing stands here: what is published has then been delivered."""

LEASES = Table(
    "leases",
    METADATA,
    slot(),
    key("name", TEXT),
    field("holder", TEXT),
    field("until", MOMENT),
)
"""Who does what for a while, among processes that share the database."""

INBOX = Table(
    "inbox",
    METADATA,
    slot(),
    key("event_id"),
    key("consumer", TEXT),
    field("handled_at", MOMENT),
    key_by("event_id", "slot", "consumer"),
    Index(None, "handled_at"),
    sqlite_with_rowid=False,
)
"""Events whose effect has been committed, per consumer."""

DEAD_LETTERS = Table(
    "dead_letters",
    METADATA,
    slot(),
    key("event_id"),
    key("consumer", TEXT),
    field("envelope", DOCUMENT),
    field("error", TEXT),
    field("attempts", COUNT),
    field("parked_at", MOMENT),
)
"""Events that a consumer could not digest, kept until somebody replays or discards them."""

COMMANDS = Table(
    "commands",
    METADATA,
    slot(),
    key("key", TEXT),
    field("request", TEXT),
    optional("answer", DOCUMENT),
    field("claimed_at", MOMENT),
    Index(None, "claimed_at"),
)
"""Idempotency keys: the hash of what was asked, and what was answered the first time."""

_EVENTS = rows_parameter("rows", slot=SLOT, event_id=ID, envelope=DOCUMENT, written_at=MOMENT)
ADD_EVENTS = Statement(
    insert(OUTBOX).from_select(
        ["slot", "event_id", "envelope", "written_at"],
        select(_EVENTS.c.slot, _EVENTS.c.event_id, _EVENTS.c.envelope, _EVENTS.c.written_at).where(true()),
    )
)
UNSENT_EVENTS = Statement(
    select(OUTBOX.c.slot, OUTBOX.c.event_id, OUTBOX.c.envelope).order_by(OUTBOX.c.event_id).limit(bindparam("limit"))
)
_RANGES = rows_parameter("ranges", first=SLOT, last=SLOT)
UNSENT_IN_RANGES = Statement(
    select(OUTBOX.c.slot, OUTBOX.c.event_id, OUTBOX.c.envelope)
    .where(exists().where(OUTBOX.c.slot >= _RANGES.c.first, OUTBOX.c.slot <= _RANGES.c.last))
    .order_by(OUTBOX.c.event_id)
    .limit(bindparam("limit"))
)
_SENT = rows_parameter("rows", slot=SLOT, event_id=ID)
REMOVE_EVENTS = Statement(
    delete(OUTBOX).where(tuple_(OUTBOX.c.slot, OUTBOX.c.event_id).in_(select(_SENT.c.slot, _SENT.c.event_id)))
)
_CONFIRMED = rows_parameter("rows", slot=SLOT, event_id=ID)
NOTE_PUBLISHED = Statement(
    insert(PUBLISHED)
    .from_select(
        ["slot", "event_id", "published_at"],
        select(_CONFIRMED.c.slot, _CONFIRMED.c.event_id, bindparam("now", type_=MOMENT)).where(true()),
    )
    .on_conflict_do_nothing()
)
FORGET_PUBLISHED = Statement(delete(PUBLISHED).where(PUBLISHED.c.published_at < bindparam("before")))
OUTBOX_AGE = Statement(select(func.count(), func.min(OUTBOX.c.written_at)).select_from(OUTBOX))

_HANDLED = rows_parameter("rows", slot=SLOT, event_id=ID)
CLAIM_EVENTS = Statement(
    insert(INBOX)
    .from_select(
        ["slot", "event_id", "consumer", "handled_at"],
        select(
            _HANDLED.c.slot, _HANDLED.c.event_id, bindparam("consumer", type_=TEXT), bindparam("now", type_=MOMENT)
        ).where(true()),
    )
    .on_conflict_do_nothing()
    .returning(INBOX.c.event_id)
)
_HAS_LETTER = exists().where(
    DEAD_LETTERS.c.slot == INBOX.c.slot,
    DEAD_LETTERS.c.event_id == INBOX.c.event_id,
    DEAD_LETTERS.c.consumer == INBOX.c.consumer,
)
FORGET_HANDLED = Statement(delete(INBOX).where(INBOX.c.handled_at < bindparam("before"), ~_HAS_LETTER))

_LETTER = rows_parameter(
    "letter",
    slot=SLOT,
    event_id=ID,
    consumer=TEXT,
    envelope=DOCUMENT,
    error=TEXT,
    attempts=COUNT,
    parked_at=MOMENT,
)
_IS_HANDLED = exists().where(
    INBOX.c.slot == _LETTER.c.slot, INBOX.c.event_id == _LETTER.c.event_id, INBOX.c.consumer == _LETTER.c.consumer
)
PARK = Statement(
    insert(DEAD_LETTERS)
    .from_select(DEAD_LETTERS.c.keys(), select(*_LETTER.c).where(~_IS_HANDLED))
    .on_conflict_do_nothing()
)
"""But for what has had its effect: then only its acknowledgement was lost."""
COUNT_DEAD = Statement(select(func.count()).select_from(DEAD_LETTERS))

CLAIM_COMMAND = Statement(
    insert(COMMANDS)
    .values(slot=bindparam("slot"), key=bindparam("key"), request=bindparam("request"), claimed_at=bindparam("now"))
    .on_conflict_do_nothing()
    .returning(COMMANDS.c.key)
)
GET_COMMAND = Statement(
    select(COMMANDS.c.request, COMMANDS.c.answer).where(
        COMMANDS.c.slot == bindparam("slot"), COMMANDS.c.key == bindparam("key")
    )
)
KEEP_ANSWER = Statement(
    update(COMMANDS)
    .where(COMMANDS.c.slot == bindparam("of_slot"), COMMANDS.c.key == bindparam("of_key"), COMMANDS.c.answer.is_(None))
    .values(answer=bindparam("kept"))
)

_NAMES = rows_parameter("names", slot=SLOT, key=TEXT)
_CLAIMING = insert(COMMANDS).from_select(
    ["slot", "key", "request", "claimed_at"],
    select(_NAMES.c.slot, _NAMES.c.key, bindparam("request", type_=TEXT), bindparam("now", type_=MOMENT))
    .where(true())
    .order_by(_NAMES.c.slot, _NAMES.c.key),
)
CLAIM_COMMANDS = Statement(
    _CLAIMING.on_conflict_do_update(
        index_elements=["slot", "key"], set_={"claimed_at": _CLAIMING.excluded.claimed_at}
    ).returning(COMMANDS.c.key, COMMANDS.c.answer)
)
_ANSWERS = rows_parameter("answers", slot=SLOT, key=TEXT, answer=DOCUMENT)
KEEP_ANSWERS = Statement(
    update(COMMANDS)
    .where(COMMANDS.c.slot == _ANSWERS.c.slot, COMMANDS.c.key == _ANSWERS.c.key, COMMANDS.c.answer.is_(None))
    .values(answer=_ANSWERS.c.answer)
)

FORGET_COMMANDS = Statement(delete(COMMANDS).where(COMMANDS.c.claimed_at < bindparam("before")))


def service_metadata() -> MetaData:
    """The tables of one service: its own (declare them on what this returns), and those the platform keeps for it."""
    metadata = MetaData(naming_convention=NAMES)
    for table in METADATA.tables.values():
        table.to_metadata(metadata)
    return metadata


AUDIT = Table(
    "audit",
    METADATA,
    slot(),
    key("audit_id"),
    field("at", MOMENT),
    field("actor", TEXT),
    field("action", TEXT),
    field("target", TEXT),
    field("detail", DOCUMENT),
    Index(None, "at"),
    Index(None, "slot", "target"),
)
"""What members of the staff did, written in the same commit as the deed."""

ADD_AUDIT = Statement(insert(AUDIT).values({name: bindparam(name) for name in AUDIT.c.keys()}).on_conflict_do_nothing())
