"""A small service's tables, statements and event, for the tests of the database."""

from collections.abc import Sequence
from typing import ClassVar

from sqlalchemy import CheckConstraint, Table, bindparam, func, select, true, update
from sqlalchemy.dialects.postgresql import insert

from hansa.kernel.event import Event
from hansa.platform.database.platform_tables import UNSENT_EVENTS, service_metadata
from hansa.platform.database.port import Database
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import COUNT, FLAG, ID, SLOT, TEXT, field, key, optional, slot

NAME = "things"
METADATA = service_metadata()
STOCK = Table(
    "stock",
    METADATA,
    slot(),
    key("sku", TEXT),
    field("available", COUNT),
    field("is_listed", FLAG),
    optional("note", TEXT),
    CheckConstraint("available >= 0", name="available"),
)
OWNERS = Table("owners", METADATA, slot(), key("name", TEXT), field("owner_id", ID))
"""A unique value that is claimed first."""

_LINES = rows_parameter("lines", slot=SLOT, sku=TEXT, quantity=COUNT)
ADD = Statement(
    insert(STOCK).from_select(
        ["slot", "sku", "available", "is_listed"],
        select(_LINES.c.slot, _LINES.c.sku, _LINES.c.quantity, true()).where(true()),
    )
)
TAKE = Statement(
    update(STOCK)
    .where(STOCK.c.slot == _LINES.c.slot, STOCK.c.sku == _LINES.c.sku, STOCK.c.available >= _LINES.c.quantity)
    .values(available=STOCK.c.available - _LINES.c.quantity)
    .returning(STOCK.c.sku, STOCK.c.available)
)
FIND = Statement(
    select(STOCK.c.sku, STOCK.c.available, _LINES.c.quantity)
    .join(_LINES, (STOCK.c.slot == _LINES.c.slot) & (STOCK.c.sku == _LINES.c.sku))
    .order_by(STOCK.c.sku)
)
_SKUS = rows_parameter("skus", sku=TEXT)
NAMED = Statement(select(STOCK.c.sku).where(STOCK.c.sku.in_(select(_SKUS.c.sku))).order_by(STOCK.c.sku))
GET = Statement(select(STOCK).where(STOCK.c.slot == bindparam("slot"), STOCK.c.sku == bindparam("sku")))
SUM = Statement(select(func.coalesce(func.sum(STOCK.c.available), 0).label("sum"), func.count().label("rows")))
SET = Statement(
    update(STOCK)
    .where(STOCK.c.sku == bindparam("of_sku"))
    .values(available=bindparam("now"), is_listed=bindparam("open"))
)
FORGET_NOTE = Statement(update(STOCK).where(STOCK.c.sku == bindparam("of_sku")).values(note=None))
CLAIM_NAME = Statement(
    insert(OWNERS)
    .values(slot=bindparam("slot"), name=bindparam("name"), owner_id=bindparam("owner_id"))
    .on_conflict_do_nothing()
    .returning(OWNERS.c.owner_id)
)


class ThingTaken(Event, frozen=True, kw_only=True):
    """Somebody took some pieces."""

    type: ClassVar[str] = "thing.taken.v1"

    sku: str
    quantity: int


async def add(database: Database, *lines: tuple[int, str, int]) -> None:
    async with database.write(*(line[0] for line in lines)) as tx:
        await tx.run(ADD, lines=lines)


async def skus(database: Database) -> list[str]:
    return [row["sku"] for row in await database.all(Statement(select(STOCK.c.sku).order_by(STOCK.c.sku)))]


async def available(database: Database, *, sku: str, slot: int = 7) -> int:
    row = await database.one(GET, slot=slot, sku=sku)
    assert row is not None
    count: int = row["available"]
    return count


async def envelopes(database: Database) -> Sequence[str]:
    return [row["envelope"] for row in await database.all(UNSENT_EVENTS, limit=100)]
