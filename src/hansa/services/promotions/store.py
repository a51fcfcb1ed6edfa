"""Every statement on promotions' tables; rows are locked in the order of their keys, a sale's before its children's."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, and_, bindparam, select, true, update

from hansa.kernel.clock import to_micros
from hansa.kernel.errors import StorageBusy
from hansa.kernel.ids import slot_of
from hansa.platform.database.port import Database, Reader, Row, Transaction
from hansa.platform.database.rows import insert_rows
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import COUNT, ID, SLOT
from hansa.services.promotions.tables import FLASH_BUYERS, FLASH_CLAIMS, FLASH_SALES

Buyer = tuple[str, str]
"""Sale and member."""
Order = tuple[str, str]
"""Sale and order."""

_SALES = rows_parameter("sales", slot=SLOT, sale_id=ID)
_GET_SALES = (
    select(FLASH_SALES)
    .join(_SALES, and_(FLASH_SALES.c.slot == _SALES.c.slot, FLASH_SALES.c.sale_id == _SALES.c.sale_id))
    .order_by(FLASH_SALES.c.slot, FLASH_SALES.c.sale_id)
)
GET_SALES = Statement(_GET_SALES)
LOCK_SALES = Statement(_GET_SALES.with_for_update(of=FLASH_SALES))
ADD_SALES = Statement(insert_rows(FLASH_SALES))
END_SALE = Statement(
    update(FLASH_SALES)
    .where(
        FLASH_SALES.c.slot == bindparam("of_slot", type_=SLOT),
        FLASH_SALES.c.sale_id == bindparam("of_sale", type_=ID),
        FLASH_SALES.c.version == bindparam("since", type_=COUNT),
    )
    .values(ends_at=bindparam("now"), is_cancelled=true(), version=bindparam("next", type_=COUNT))
    .returning(FLASH_SALES.c.sale_id)
)
LIST_CURRENT = Statement(
    select(FLASH_SALES)
    .where(FLASH_SALES.c.ends_at > bindparam("now"))
    .order_by(FLASH_SALES.c.starts_at, FLASH_SALES.c.sale_id)
    .limit(bindparam("limit", type_=BigInteger()))
)
LIST_ALL = Statement(
    select(FLASH_SALES)
    .where(FLASH_SALES.c.sale_id < bindparam("before", type_=ID))
    .order_by(FLASH_SALES.c.sale_id.desc())
    .limit(bindparam("limit", type_=BigInteger()))
)
_TAKEN = rows_parameter("taken", slot=SLOT, sale_id=ID, pieces=COUNT)
TAKE_PIECES = Statement(
    update(FLASH_SALES)
    .where(
        FLASH_SALES.c.slot == _TAKEN.c.slot,
        FLASH_SALES.c.sale_id == _TAKEN.c.sale_id,
        FLASH_SALES.c.claimed + _TAKEN.c.pieces <= FLASH_SALES.c.quantity,
        FLASH_SALES.c.claimed + _TAKEN.c.pieces >= 0,
    )
    .values(claimed=FLASH_SALES.c.claimed + _TAKEN.c.pieces, version=FLASH_SALES.c.version + 1)
    .returning(FLASH_SALES.c.sale_id)
)

ADD_BUYERS = Statement(insert_rows(FLASH_BUYERS).on_conflict_do_nothing())
_BUYERS = rows_parameter("buyers", slot=SLOT, sale_id=ID, member=ID)
GET_BUYERS = Statement(
    select(FLASH_BUYERS).join(
        _BUYERS,
        and_(
            FLASH_BUYERS.c.slot == _BUYERS.c.slot,
            FLASH_BUYERS.c.sale_id == _BUYERS.c.sale_id,
            FLASH_BUYERS.c.member == _BUYERS.c.member,
        ),
    )
)
LIST_BUYERS = Statement(
    select(FLASH_BUYERS.c.member)
    .where(
        FLASH_BUYERS.c.slot == bindparam("of_slot", type_=SLOT),
        FLASH_BUYERS.c.sale_id == bindparam("of_sale", type_=ID),
    )
    .limit(bindparam("limit", type_=BigInteger()))
)
_BOUGHT = rows_parameter("bought", slot=SLOT, sale_id=ID, member=ID, pieces=COUNT, most=COUNT)
COUNT_BUYERS = Statement(
    update(FLASH_BUYERS)
    .where(
        FLASH_BUYERS.c.slot == _BOUGHT.c.slot,
        FLASH_BUYERS.c.sale_id == _BOUGHT.c.sale_id,
        FLASH_BUYERS.c.member == _BOUGHT.c.member,
        FLASH_BUYERS.c.claimed + _BOUGHT.c.pieces <= _BOUGHT.c.most,
        FLASH_BUYERS.c.claimed + _BOUGHT.c.pieces >= 0,
    )
    .values(claimed=FLASH_BUYERS.c.claimed + _BOUGHT.c.pieces)
    .returning(FLASH_BUYERS.c.member)
)

ADD_CLAIMS = Statement(insert_rows(FLASH_CLAIMS).on_conflict_do_nothing().returning(FLASH_CLAIMS.c.order_id))
_ORDERS = rows_parameter("orders", slot=SLOT, sale_id=ID, order_id=ID)
_OF_ORDERS = and_(
    FLASH_CLAIMS.c.slot == _ORDERS.c.slot,
    FLASH_CLAIMS.c.sale_id == _ORDERS.c.sale_id,
    FLASH_CLAIMS.c.order_id == _ORDERS.c.order_id,
)
GET_CLAIMS = Statement(select(FLASH_CLAIMS).join(_ORDERS, _OF_ORDERS))
RELEASE_CLAIMS = Statement(
    update(FLASH_CLAIMS)
    .where(_OF_ORDERS, FLASH_CLAIMS.c.state != "released")
    .values(state="released", refusal=None)
    .returning(FLASH_CLAIMS.c.order_id)
)


async def add(tx: Transaction, row: tuple[Any, ...]) -> None:
    """Write a new sale: a row as the table has it."""
    await tx.run(ADD_SALES, rows=[row])


async def end(tx: Transaction, *, sale_id: str, at: int, since: int, version: int) -> None:
    """Cancel a sale that this transaction has locked at the version `since`."""
    row = await tx.one(END_SALE, of_slot=slot_of(sale_id), of_sale=int(sale_id), since=since, now=at, next=version)
    if row is None:
        raise StorageBusy(f"flash sale {sale_id} has changed since it was read")


async def find(reader: Reader | Database, *, sale_ids: Sequence[str]) -> Sequence[Row]:
    return await reader.all(GET_SALES, sales=_sale_keys(sale_ids)) if sale_ids else ()


async def lock(tx: Transaction, *, sale_ids: Sequence[str]) -> Sequence[Row]:
    """The sales that exist; whoever has locked one alone changes it, its claims and its counters until the commit."""
    return await tx.all(LOCK_SALES, sales=_sale_keys(sale_ids))


async def current(reader: Reader | Database, *, now: int, limit: int) -> Sequence[Row]:
    return await reader.all(LIST_CURRENT, now=now, limit=limit)


async def every(reader: Reader | Database, *, before: int, limit: int) -> Sequence[Row]:
    return await reader.all(LIST_ALL, before=before, limit=limit)


async def take_pieces(tx: Transaction, *, pieces: Mapping[str, int]) -> None:
    """Claim pieces by sale, or give them back (below zero). All of it, or StorageBusy.

    The lock is for throughput and not for truth: a sale that has not so many left is not touched.
    """
    rows = sorted((slot_of(sale_id), int(sale_id), number) for sale_id, number in pieces.items() if number)
    await _all_of(tx, TAKE_PIECES, "taken", rows)


async def add_buyers(tx: Transaction, *, buyers: Sequence[Buyer]) -> None:
    """See that the counters exist."""
    if buyers:
        await tx.run(ADD_BUYERS, rows=[(*key, 0) for key in _buyer_keys(buyers)])


async def bought(reader: Reader | Database, *, buyers: Sequence[Buyer]) -> dict[Buyer, int]:
    """How many pieces each holds; those that were never let in are left out."""
    rows = await reader.all(GET_BUYERS, buyers=_buyer_keys(buyers)) if buyers else ()
    return {(str(row["sale_id"]), str(row["member"])): row["claimed"] for row in rows}


async def buyers(reader: Reader | Database, *, sale_id: str, limit: int) -> list[str]:
    """All who were ever let in."""
    rows = await reader.all(LIST_BUYERS, of_slot=slot_of(sale_id), of_sale=int(sale_id), limit=limit)
    return [str(row["member"]) for row in rows]


async def count_buyers(tx: Transaction, *, pieces: Mapping[Buyer, int], limits: Mapping[str, int]) -> None:
    """Count pieces for buyers, or back (below zero). All of it, or StorageBusy: nobody comes above the limit."""
    rows = sorted(
        (slot_of(sale_id), int(sale_id), int(member), number, limits[sale_id])
        for (sale_id, member), number in pieces.items()
        if number
    )
    await _all_of(tx, COUNT_BUYERS, "bought", rows)


async def claims(reader: Reader, *, orders: Sequence[Order]) -> Sequence[Row]:
    return await reader.all(GET_CLAIMS, orders=_order_keys(orders)) if orders else ()


async def add_claims(tx: Transaction, *, rows: Sequence[tuple[Any, ...]]) -> None:
    """Rows as the table has them. All of them, or StorageBusy: under the lock of their sales nobody else was faster."""
    await _all_of(tx, ADD_CLAIMS, "rows", sorted(rows))


async def release_claims(tx: Transaction, *, orders: Sequence[Order], at: datetime) -> None:
    """Of those that are not there yet, remember that they are over."""
    keys = _order_keys(orders)
    await tx.run(ADD_CLAIMS, rows=[(*key, None, 0, "released", None, to_micros(at)) for key in keys])
    await tx.run(RELEASE_CLAIMS, orders=keys)


async def _all_of(tx: Transaction, statement: Statement, parameter: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows and len(done := await tx.all(statement, **{parameter: rows})) != len(rows):
        raise StorageBusy(f"{len(rows) - len(done)} {parameter} do not fit what is there now")


def _sale_keys(sale_ids: Sequence[str]) -> list[tuple[int, int]]:
    return sorted({(slot_of(sale_id), int(sale_id)) for sale_id in sale_ids})


def _buyer_keys(buyers: Sequence[Buyer]) -> list[tuple[int, int, int]]:
    return sorted({(slot_of(sale_id), int(sale_id), int(member)) for sale_id, member in buyers})


def _order_keys(orders: Sequence[Order]) -> list[tuple[int, int, int]]:
    return sorted({(slot_of(sale_id), int(sale_id), int(order_id)) for sale_id, order_id in orders})
