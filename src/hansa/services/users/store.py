"""Every statement on accounts and sessions."""

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
from hansa.services.users.tables import IDENTITIES, SESSIONS, USERS

FIND_IDENTITY = Statement(
    select(IDENTITIES.c.user_id).where(
        IDENTITIES.c.slot == bindparam("slot"), IDENTITIES.c.email_hash == bindparam("email_hash")
    )
)
CLAIM_IDENTITY = Statement(
    insert(IDENTITIES)
    .values({name: bindparam(name) for name in IDENTITIES.c.keys()})
    .on_conflict_do_nothing()
    .returning(IDENTITIES.c.user_id)
)
ADD_USER = Statement(insert(USERS).values({name: bindparam(name) for name in USERS.c.keys()}))
_THE_USER = (USERS.c.slot == bindparam("of_slot"), USERS.c.user_id == bindparam("of_user"))
FIND_USER = Statement(select(USERS).where(*_THE_USER))
HOLD_PASSWORD = Statement(
    select(USERS.c.user_id)
    .where(*_THE_USER, USERS.c.password_version == bindparam("of_version"))
    .with_for_update(read=True)
)
RENEW_HASH = Statement(
    update(USERS)
    .where(*_THE_USER, USERS.c.password_hash == bindparam("of_password_hash"))
    .values(password_hash=bindparam("new_password_hash"))
)
SET_STAFF = Statement(update(USERS).where(*_THE_USER).values(name=bindparam("new_name"), roles=bindparam("new_roles")))
SET_PASSWORD = Statement(
    update(USERS)
    .where(*_THE_USER)
    .values(password_hash=bindparam("new_password_hash"), password_version=USERS.c.password_version + 1)
)

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


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A user as kept: `email` and `name` are sealed."""

    user_id: str
    email: str
    name: str
    password_hash: str
    password_version: int
    roles: tuple[str, ...]
    locale: str
    created_at: datetime


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


async def find_owner(reader: Database | Reader, *, slot: int, email_hash: str) -> str | None:
    """The id of the user whose address it is."""
    row = await reader.one(FIND_IDENTITY, slot=slot, email_hash=email_hash)
    return str(row["user_id"]) if row else None


async def add_user(tx: Transaction, *, slot: int, email_hash: str, account: Account) -> bool:
    """Claim the address and make the account; False if the address is taken."""
    claimed = await tx.one(
        CLAIM_IDENTITY,
        slot=slot,
        email_hash=email_hash,
        user_id=int(account.user_id),
        claimed_at=to_micros(account.created_at),
    )
    if claimed is None:
        return False
    await tx.run(
        ADD_USER,
        slot=slot_of(account.user_id),
        user_id=int(account.user_id),
        email=account.email,
        name=account.name,
        password_hash=account.password_hash,
        password_version=account.password_version,
        roles=" ".join(account.roles),
        locale=account.locale,
        created_at=to_micros(account.created_at),
    )
    return True


async def find_user(reader: Database | Reader, *, user_id: str) -> Account | None:
    row = await reader.one(FIND_USER, of_slot=slot_of(user_id), of_user=int(user_id))
    if row is None:
        return None
    return Account(
        user_id=str(row["user_id"]),
        email=row["email"],
        name=row["name"],
        password_hash=row["password_hash"],
        password_version=row["password_version"],
        roles=tuple(row["roles"].split()),
        locale=row["locale"],
        created_at=from_micros(row["created_at"]),
    )


async def hold_password(tx: Transaction, *, user_id: str, version: int) -> bool:
    """Whether this is still the password; if so, it stays so until the transaction ends."""
    held = await tx.one(HOLD_PASSWORD, of_slot=slot_of(user_id), of_user=int(user_id), of_version=version)
    return held is not None


async def renew_hash(tx: Transaction, *, user_id: str, since: str, password_hash: str) -> None:
    """Another hash of the same password, if the hash is still the one known."""
    await tx.run(
        RENEW_HASH,
        of_slot=slot_of(user_id),
        of_user=int(user_id),
        of_password_hash=since,
        new_password_hash=password_hash,
    )


async def set_staff(tx: Transaction, *, user_id: str, name: str, roles: tuple[str, ...]) -> None:
    """`name` is sealed."""
    await tx.run(SET_STAFF, of_slot=slot_of(user_id), of_user=int(user_id), new_name=name, new_roles=" ".join(roles))


async def set_password(tx: Transaction, *, user_id: str, password_hash: str) -> None:
    await tx.run(SET_PASSWORD, of_slot=slot_of(user_id), of_user=int(user_id), new_password_hash=password_hash)


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


async def end_sessions(tx: Transaction, *, user_id: str, now: datetime) -> None:
    await tx.run(END_SESSIONS, of_slot=slot_of(user_id), of_user=int(user_id), now=to_micros(now))


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
