"""Sessions: started once for each key, ended, and forgotten in sets."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import bindparam, delete, null, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from hansa.kernel.clock import from_micros, to_micros
from hansa.kernel.ids import slot_of
from hansa.platform.database.port import Database, Reader, Row, Transaction
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import ID, SLOT
from hansa.services.users.tables import SESSIONS

_THE_SESSION = (SESSIONS.c.slot == bindparam("of_slot"), SESSIONS.c.session_id == bindparam("of_session"))
_started = insert(SESSIONS).values({name: bindparam(name) for name in SESSIONS.c.keys() if name != "ended_at"})
_over = or_(SESSIONS.c.ended_at.is_not(None), SESSIONS.c.expires_at <= _started.excluded.started_at)
ADD_SESSION = Statement(
    _started.on_conflict_do_update(
        index_elements=["slot", "user_id", "made_by"],
        set_={
            "session_id": _started.excluded.session_id,
            "token_hash": _started.excluded.token_hash,
            "roles": _started.excluded.roles,
            "started_at": _started.excluded.started_at,
            "expires_at": _started.excluded.expires_at,
            "ended_at": null(),
        },
        where=_over,
    ).returning(SESSIONS.c.session_id)
)
SESSION_OF_KEY = Statement(
    select(SESSIONS).where(
        SESSIONS.c.slot == bindparam("of_slot"),
        SESSIONS.c.user_id == bindparam("of_user"),
        SESSIONS.c.made_by == bindparam("of_key"),
    )
)
FIND_SESSION = Statement(select(SESSIONS).where(*_THE_SESSION))
END_SESSION = Statement(
    update(SESSIONS)
    .where(*_THE_SESSION, SESSIONS.c.token_hash == bindparam("of_token_hash"), SESSIONS.c.ended_at.is_(None))
    .values(ended_at=bindparam("now"))
)
END_SESSIONS = Statement(
    update(SESSIONS)
    .where(
        SESSIONS.c.slot == bindparam("of_slot"),
        SESSIONS.c.user_id == bindparam("of_user"),
        SESSIONS.c.token_hash != bindparam("but_token_hash"),
        SESSIONS.c.ended_at.is_(None),
    )
    .values(ended_at=bindparam("now"))
)
EXPIRED_SESSIONS = Statement(
    select(SESSIONS.c.slot, SESSIONS.c.session_id)
    .where(SESSIONS.c.expires_at < bindparam("before"))
    .order_by(SESSIONS.c.expires_at)
    .limit(bindparam("limit"))
)
_FORGOTTEN = rows_parameter("rows", slot=SLOT, session_id=ID)
FORGET_SESSIONS = Statement(
    delete(SESSIONS).where(
        tuple_(SESSIONS.c.slot, SESSIONS.c.session_id).in_(select(_FORGOTTEN.c.slot, _FORGOTTEN.c.session_id))
    )
)


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A session as kept."""

    session_id: str
    user_id: str
    token_hash: str
    roles: tuple[str, ...]
    made_by: str
    started_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None


async def add_session(tx: Transaction, *, session: Started) -> Started:
    """The session of this user and key: the one that is there already if it is not over, else the one given."""
    slot = slot_of(session.session_id)
    added = await tx.one(
        ADD_SESSION,
        slot=slot,
        session_id=int(session.session_id),
        user_id=int(session.user_id),
        token_hash=session.token_hash,
        roles=" ".join(session.roles),
        made_by=session.made_by,
        started_at=to_micros(session.started_at),
        expires_at=to_micros(session.expires_at),
    )
    if added is not None:
        return session
    rows = await tx.all(SESSION_OF_KEY, of_slot=slot, of_user=int(session.user_id), of_key=session.made_by)
    return _session(rows[0])


async def find_session(reader: Database | Reader, *, session_id: str) -> Started | None:
    row = await reader.one(FIND_SESSION, of_slot=slot_of(session_id), of_session=int(session_id))
    return _session(row) if row else None


async def end_session(tx: Transaction, *, session_id: str, token_hash: str, now: datetime) -> None:
    await tx.run(
        END_SESSION,
        of_slot=slot_of(session_id),
        of_session=int(session_id),
        of_token_hash=token_hash,
        now=to_micros(now),
    )


async def end_sessions(tx: Transaction, *, user_id: str, now: datetime, but: str = "") -> None:
    """End a user's sessions, but the one whose token has the hash `but`."""
    await tx.run(END_SESSIONS, of_slot=slot_of(user_id), of_user=int(user_id), but_token_hash=but, now=to_micros(now))


async def expired_sessions(reader: Database | Reader, *, before: datetime, limit: int) -> Sequence[tuple[int, int]]:
    rows = await reader.all(EXPIRED_SESSIONS, before=to_micros(before), limit=limit)
    return sorted((row["slot"], row["session_id"]) for row in rows)


async def forget_sessions(tx: Transaction, *, rows: Sequence[tuple[int, int]]) -> None:
    await tx.run(FORGET_SESSIONS, rows=rows)


def _session(row: Row) -> Started:
    return Started(
        session_id=str(row["session_id"]),
        user_id=str(row["user_id"]),
        token_hash=row["token_hash"],
        roles=tuple(row["roles"].split()),
        made_by=row["made_by"],
        started_at=from_micros(row["started_at"]),
        expires_at=from_micros(row["expires_at"]),
        ended_at=None if row["ended_at"] is None else from_micros(row["ended_at"]),
    )
