"""Accounts: whose address is whose, and what is kept of each; listed for the staff."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from hansa.kernel.clock import from_micros, to_micros
from hansa.kernel.ids import LARGEST, slot_of
from hansa.platform.database.platform_tables import GET_COMMAND
from hansa.platform.database.port import Database, Reader, Row, Transaction
from hansa.platform.database.statement import Statement
from hansa.platform.database.tables import COUNT, ID, TEXT
from hansa.services.users.tables import IDENTITIES, USERS

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
CHANGE_PASSWORD = Statement(
    update(USERS)
    .where(*_THE_USER, USERS.c.password_version == bindparam("of_version"))
    .values(password_hash=bindparam("new_password_hash"), password_version=USERS.c.password_version + 1)
    .returning(USERS.c.user_id)
)
CHANGE_USER = Statement(
    update(USERS)
    .where(*_THE_USER)
    .values(
        name=func.coalesce(bindparam("new_name", type_=TEXT), USERS.c.name),
        locale=func.coalesce(bindparam("new_locale", type_=TEXT), USERS.c.locale),
    )
)
LOCK_USER = Statement(select(USERS.c.user_id).where(*_THE_USER).with_for_update())
_listed = (
    select(USERS)
    .where(USERS.c.user_id > bindparam("after", type_=ID), USERS.c.user_id < bindparam("before", type_=ID))
    .limit(bindparam("most", type_=COUNT))
)
NEWEST_USERS = Statement(_listed.order_by(USERS.c.user_id.desc()))
OLDEST_USERS = Statement(_listed.order_by(USERS.c.user_id))


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
    return _account(row) if row else None


async def lock_user(tx: Transaction, *, user_id: str) -> bool:
    """Whether there is such a user; whoever has locked them alone changes what hangs on them until the commit."""
    return await tx.one(LOCK_USER, of_slot=slot_of(user_id), of_user=int(user_id)) is not None


async def list_users(
    reader: Database | Reader, *, is_newest_first: bool, beyond: int | None, limit: int
) -> Sequence[Account]:
    """All accounts in the order of their making, those beyond a position."""
    if is_newest_first:
        rows = await reader.all(NEWEST_USERS, after=0, before=LARGEST if beyond is None else beyond, most=limit)
    else:
        rows = await reader.all(OLDEST_USERS, after=beyond or 0, before=LARGEST, most=limit)
    return [_account(row) for row in rows]


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


async def change_password(tx: Transaction, *, user_id: str, since: int, password_hash: str) -> bool:
    """Another password, if the present one is still that of the version `since`."""
    changed = await tx.one(
        CHANGE_PASSWORD,
        of_slot=slot_of(user_id),
        of_user=int(user_id),
        of_version=since,
        new_password_hash=password_hash,
    )
    return changed is not None


async def was_answered(reader: Database | Reader, *, slot: int, key: str) -> bool:
    """Whether a command was carried out with this key."""
    row = await reader.one(GET_COMMAND, slot=slot, key=key)
    return row is not None and row["answer"] is not None


async def change_user(tx: Transaction, *, user_id: str, name: str | None, locale: str | None) -> None:
    """`name` is sealed; None leaves what is there."""
    await tx.run(CHANGE_USER, of_slot=slot_of(user_id), of_user=int(user_id), new_name=name, new_locale=locale)


def _account(row: Row) -> Account:
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
