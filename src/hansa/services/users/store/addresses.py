"""Address books: at most one default in each, which whoever holds the user's row moves."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import bindparam, delete, false, select, true, update
from sqlalchemy.dialects.postgresql import insert

from hansa.kernel.ids import slot_of
from hansa.platform.database.port import Database, Reader, Row, Transaction
from hansa.platform.database.statement import Statement
from hansa.services.users.contract import MOST_ADDRESSES
from hansa.services.users.tables import ADDRESSES

_OF_USER = (ADDRESSES.c.slot == bindparam("of_slot"), ADDRESSES.c.user_id == bindparam("of_user"))
_THE_ADDRESS = (*_OF_USER, ADDRESSES.c.saved_id == bindparam("of_saved"))
ADDRESS_BOOK = Statement(
    select(ADDRESSES)
    .where(*_OF_USER)
    .order_by(ADDRESSES.c.is_default.desc(), ADDRESSES.c.saved_id)
    .limit(MOST_ADDRESSES)
)
_put = insert(ADDRESSES).values({name: bindparam(name) for name in ADDRESSES.c.keys()})
PUT_ADDRESS = Statement(
    _put.on_conflict_do_update(
        index_elements=["slot", "user_id", "saved_id"],
        set_={"address": _put.excluded.address, "is_default": _put.excluded.is_default},
    )
)
REMOVE_ADDRESS = Statement(delete(ADDRESSES).where(*_THE_ADDRESS))
CLEAR_DEFAULT = Statement(update(ADDRESSES).where(*_OF_USER, ADDRESSES.c.is_default).values(is_default=false()))
MAKE_DEFAULT = Statement(update(ADDRESSES).where(*_THE_ADDRESS).values(is_default=true()))


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """An address as kept: sealed."""

    saved_id: str
    address: str
    is_default: bool


async def book_of(reader: Database | Reader, *, user_id: str) -> Sequence[Kept]:
    """The default first, then in the order in which they came."""
    return [_kept(row) for row in await reader.all(ADDRESS_BOOK, **_of(user_id))]


async def put(tx: Transaction, *, user_id: str, kept: Kept) -> None:
    """Add an address or change it. The one default there may be is the last that was put as such."""
    if kept.is_default:
        await tx.run(CLEAR_DEFAULT, **_of(user_id))
    await tx.run(
        PUT_ADDRESS,
        slot=slot_of(user_id),
        user_id=int(user_id),
        saved_id=int(kept.saved_id),
        address=kept.address,
        is_default=kept.is_default,
    )


async def remove(tx: Transaction, *, user_id: str, saved_id: str) -> None:
    await tx.run(REMOVE_ADDRESS, **_of(user_id), of_saved=int(saved_id))


async def make_default(tx: Transaction, *, user_id: str, saved_id: str) -> None:
    """For a book that has no default any more."""
    await tx.run(MAKE_DEFAULT, **_of(user_id), of_saved=int(saved_id))


def _of(user_id: str) -> dict[str, int]:
    return {"of_slot": slot_of(user_id), "of_user": int(user_id)}


def _kept(row: Row) -> Kept:
    return Kept(saved_id=str(row["saved_id"]), address=row["address"], is_default=bool(row["is_default"]))
