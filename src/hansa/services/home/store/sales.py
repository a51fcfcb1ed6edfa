"""What was sold: orders, so that they can be taken back, and pieces by product and day."""

from collections.abc import Collection, Iterable, Mapping

import msgspec
from sqlalchemy import bindparam, delete, select, tuple_, update

from hansa.kernel.ids import slot_of
from hansa.platform.database.port import Database, Transaction
from hansa.platform.database.rows import insert_rows
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import COUNT, ID, SLOT
from hansa.services.home.tables import ORDERS, SALES

Day = tuple[str, int]
"""A product and a day."""


class Sold(msgspec.Struct, frozen=True, kw_only=True):
    """The pieces of an order by product."""

    order_id: str
    day: int
    pieces: dict[str, int]


_PIECES = msgspec.json.Decoder(dict[str, int])
_PRODUCTS = rows_parameter("products", slot=SLOT, product_id=ID)

ADD_ORDERS = Statement(insert_rows(ORDERS).on_conflict_do_nothing().returning(ORDERS.c.order_id))
CANCEL_ORDERS = Statement(
    insert_rows(ORDERS)
    .on_conflict_do_update(
        index_elements=["slot", "order_id"], set_={"is_cancelled": True}, where=~ORDERS.c.is_cancelled
    )
    .returning(ORDERS.c.day, ORDERS.c.pieces)
)
_SELLING = insert_rows(SALES)
ADD_SALES = Statement(
    _SELLING.on_conflict_do_update(
        index_elements=["slot", "product_id", "day"], set_={"pieces": SALES.c.pieces + _SELLING.excluded.pieces}
    )
)
_RETURNED = rows_parameter("returned", slot=SLOT, product_id=ID, day=COUNT, pieces=COUNT)
TAKE_BACK = Statement(
    update(SALES)
    .where(
        SALES.c.slot == _RETURNED.c.slot,
        SALES.c.product_id == _RETURNED.c.product_id,
        SALES.c.day == _RETURNED.c.day,
    )
    .values(pieces=SALES.c.pieces - _RETURNED.c.pieces)
    .returning(SALES.c.product_id, SALES.c.day)
)
OLD_SALES = Statement(
    select(SALES.c.product_id)
    .where(SALES.c.day < bindparam("first", type_=COUNT))
    .order_by(SALES.c.day)
    .limit(bindparam("most", type_=COUNT))
)
DROP_SALES = Statement(
    delete(SALES)
    .where(
        SALES.c.day < bindparam("first", type_=COUNT),
        tuple_(SALES.c.slot, SALES.c.product_id).in_(select(_PRODUCTS.c.slot, _PRODUCTS.c.product_id)),
    )
    .returning(SALES.c.product_id, SALES.c.pieces)
)
_OLD_ORDERS = (
    select(ORDERS.c.slot, ORDERS.c.order_id)
    .where(ORDERS.c.day < bindparam("first", type_=COUNT))
    .order_by(ORDERS.c.day)
    .limit(bindparam("most", type_=COUNT))
)
DROP_ORDERS = Statement(
    delete(ORDERS).where(tuple_(ORDERS.c.slot, ORDERS.c.order_id).in_(_OLD_ORDERS)).returning(ORDERS.c.order_id)
)


async def add_orders(tx: Transaction, *, orders: Iterable[Sold]) -> list[Sold]:
    """Note orders; those that were not known yet, neither as placed nor as cancelled."""
    by_id = {order.order_id: order for order in orders}
    rows = [_order_row(order, is_cancelled=False) for order in by_id.values()]
    added = await tx.all(ADD_ORDERS, rows=sorted(rows)) if rows else ()
    return [by_id[str(row["order_id"])] for row in added]


async def cancel_orders(tx: Transaction, *, days: Mapping[str, int]) -> list[tuple[int, dict[str, int]]]:
    """Note that orders are cancelled, by id, with the day of that; what those that counted so far had sold, by day."""
    rows = [_order_row(Sold(order_id=id_, day=day, pieces={}), is_cancelled=True) for id_, day in days.items()]
    cancelled = await tx.all(CANCEL_ORDERS, rows=sorted(rows)) if rows else ()
    return [(row["day"], _PIECES.decode(row["pieces"])) for row in cancelled]


async def add(tx: Transaction, *, pieces: Mapping[Day, int]) -> None:
    """Count pieces of products whose cards are held."""
    if rows := _rows(pieces):
        await tx.run(ADD_SALES, rows=rows)


async def take_back(tx: Transaction, *, pieces: Mapping[Day, int]) -> set[Day]:
    """Take pieces back, of products whose cards are held; the days that still counted."""
    rows = _rows(pieces)
    taken = await tx.all(TAKE_BACK, returned=rows) if rows else ()
    return {(str(row["product_id"]), row["day"]) for row in taken}


async def old(database: Database, *, first_day: int, most: int) -> set[str]:
    """Some products with sales before a day."""
    return {str(row["product_id"]) for row in await database.all(OLD_SALES, first=first_day, most=most)}


async def drop(tx: Transaction, *, product_ids: Collection[str], first_day: int) -> dict[str, int]:
    """Forget the sales before a day, of products whose cards are held; how many pieces each had."""
    dropped: dict[str, int] = {}
    places = sorted((slot_of(product_id), int(product_id)) for product_id in product_ids)
    for row in await tx.all(DROP_SALES, products=places, first=first_day):
        product_id = str(row["product_id"])
        dropped[product_id] = dropped.get(product_id, 0) + row["pieces"]
    return dropped


async def drop_orders(tx: Transaction, *, first_day: int, most: int) -> int:
    """Forget some orders that no longer count; how many."""
    return len(await tx.all(DROP_ORDERS, first=first_day, most=most))


def _order_row(order: Sold, *, is_cancelled: bool) -> tuple[int, int, int, str, bool]:
    pieces = msgspec.json.encode(order.pieces).decode()
    return slot_of(order.order_id), int(order.order_id), order.day, pieces, is_cancelled


def _rows(pieces: Mapping[Day, int]) -> list[tuple[int, int, int, int]]:
    return sorted((slot_of(id_), int(id_), day, number) for (id_, day), number in pieces.items())
