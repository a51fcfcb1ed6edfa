"""What happened to orders: entries are added and read, and nothing else is done to them."""

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import bindparam, func, select, true
from sqlalchemy.dialects.postgresql import insert

from hansa.kernel.clock import from_micros, to_micros
from hansa.kernel.ids import slot_of
from hansa.platform.database.port import Reader, Row, Transaction
from hansa.platform.database.rows import rows_of
from hansa.platform.database.statement import Statement
from hansa.platform.database.tables import COUNT, ID, SLOT
from hansa.services.orders.contract import Entry
from hansa.services.orders.tables import ORDER_ENTRIES

_ROWS = rows_of(ORDER_ENTRIES)
_LAST = (
    select(func.max(ORDER_ENTRIES.c.number))
    .where(ORDER_ENTRIES.c.slot == _ROWS.c.slot, ORDER_ENTRIES.c.order_id == _ROWS.c.order_id)
    .scalar_subquery()
)
_NUMBERED = [
    func.coalesce(_LAST, 0) + _ROWS.c.number if name == "number" else _ROWS.c[name] for name in ORDER_ENTRIES.c.keys()
]
ADD_ENTRIES = Statement(insert(ORDER_ENTRIES).from_select(ORDER_ENTRIES.c.keys(), select(*_NUMBERED).where(true())))
GET_ENTRIES = Statement(
    select(ORDER_ENTRIES)
    .where(
        ORDER_ENTRIES.c.slot == bindparam("of_slot", type_=SLOT),
        ORDER_ENTRIES.c.order_id == bindparam("of_order", type_=ID),
    )
    .order_by(ORDER_ENTRIES.c.number)
    .limit(bindparam("most", type_=COUNT))
)


async def add(tx: Transaction, entries: Mapping[str, Sequence[Entry]]) -> None:
    """Write down, by order id, what this transaction does to orders whose rows it has locked."""
    rows = [
        (slot_of(order_id), int(order_id), number, to_micros(entry.at), entry.kind, entry.actor, _json(entry))
        for order_id, its_entries in entries.items()
        for number, entry in enumerate(its_entries, start=1)
    ]
    if rows:
        await tx.run(ADD_ENTRIES, rows=rows)


async def entries_of(reader: Reader, *, order_id: str, limit: int) -> tuple[Entry, ...]:
    """Oldest first."""
    rows = await reader.all(GET_ENTRIES, of_slot=slot_of(order_id), of_order=int(order_id), most=limit)
    return tuple(_entry(row) for row in rows)


def _json(entry: Entry) -> str:
    return msgspec.json.encode(entry.detail).decode()


def _entry(row: Row) -> Entry:
    return Entry(
        at=from_micros(row["at"]), kind=row["kind"], actor=row["actor"], detail=msgspec.json.decode(row["detail"])
    )
