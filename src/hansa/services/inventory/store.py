"""Every statement on inventory's tables; they take sets, and lock rows in the order of their keys."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, literal_column, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.selectable import TableValuedAlias
from sqlalchemy.types import TypeEngine

from hansa.kernel.errors import StorageBusy
from hansa.platform.database.port import Database, Reader, Row, Transaction
from hansa.platform.database.rows import insert_rows
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import COUNT, DOCUMENT, ID, MOMENT, SLOT, TEXT
from hansa.services.inventory.tables import MOVEMENTS, RESERVATIONS, STOCK

Key = tuple[int, str, str, int]
"""Of a level: slot, sku, location, bucket."""
OrderKey = tuple[int, int]
"""Of a reservation: slot, order id."""

HELD: Final = "held"
SOLD: Final = "sold"
EXPIRED: Final = "expired"
RELEASED: Final = "released"
REFUSED: Final = "refused"

_PLACE: dict[str, TypeEngine[Any]] = {"slot": SLOT, "sku": TEXT, "location": TEXT, "bucket": COUNT}
_STOCK_KEY = (STOCK.c.slot, STOCK.c.sku, STOCK.c.location, STOCK.c.bucket)


def _same(table: Any, rows: TableValuedAlias, *names: str) -> ColumnElement[bool]:
    return and_(*(table.c[name] == rows.c[name] for name in names))


_PLACES = rows_parameter("places", **_PLACE)
_ADD_LEVELS = Statement(
    insert(STOCK)
    .from_select(
        [*_PLACE, "on_hand", "reserved", "sold", "version"],
        select(*(_PLACES.c[name] for name in _PLACE), *(bindparam(f"zero_{n}", 0, type_=COUNT) for n in range(4)))
        .where(true())
        .order_by(*(_PLACES.c[name] for name in _PLACE)),
    )
    .on_conflict_do_nothing()
)
_LEVELS = select(STOCK).join(_PLACES, _same(STOCK, _PLACES, *_PLACE)).order_by(*_STOCK_KEY)
_GET_LEVELS = Statement(_LEVELS)
_LOCK_LEVELS = Statement(_LEVELS.with_for_update(of=STOCK))
_LEVELS_OF_SKU = select(STOCK).where(STOCK.c.sku == bindparam("sku")).order_by(*_STOCK_KEY)
_GET_LEVELS_OF_SKU = Statement(_LEVELS_OF_SKU)
_LOCK_LEVELS_OF_SKU = Statement(_LEVELS_OF_SKU.with_for_update())
_SKUS = rows_parameter("skus", sku=TEXT)
_GET_LEVELS_OF_SKUS = Statement(select(STOCK).join(_SKUS, STOCK.c.sku == _SKUS.c.sku).order_by(*_STOCK_KEY))

_CHANGES = rows_parameter(
    "changes",
    **_PLACE,
    since=COUNT,
    version=COUNT,
    on_hand=COUNT,
    reserved=COUNT,
    sold=COUNT,
)
_CHANGE_LEVELS = Statement(
    update(STOCK)
    .where(
        _same(STOCK, _CHANGES, *_PLACE),
        STOCK.c.version == _CHANGES.c.since,
        STOCK.c.on_hand + _CHANGES.c.on_hand >= STOCK.c.reserved + _CHANGES.c.reserved,
    )
    .values(
        on_hand=STOCK.c.on_hand + _CHANGES.c.on_hand,
        reserved=STOCK.c.reserved + _CHANGES.c.reserved,
        sold=STOCK.c.sold + _CHANGES.c.sold,
        version=_CHANGES.c.version,
    )
    .returning(STOCK.c.sku)
)
_ADD_MOVEMENTS = Statement(insert_rows(MOVEMENTS))
_LATEST_MOVEMENTS = Statement(
    select(MOVEMENTS)
    .where(*(MOVEMENTS.c[name] == bindparam(f"of_{name}") for name in _PLACE))
    .order_by(MOVEMENTS.c.version.desc())
    .limit(bindparam("limit", type_=BigInteger()))
)

_CLAIMS = rows_parameter(
    "claims", slot=SLOT, order_id=ID, state=TEXT, lines=DOCUMENT, locations=DOCUMENT, parts=DOCUMENT, expires_at=MOMENT
)
_CLAIM_RESERVATIONS = Statement(
    insert(RESERVATIONS)
    .from_select(list(_CLAIMS.c.keys()), select(_CLAIMS).where(true()).order_by(_CLAIMS.c.slot, _CLAIMS.c.order_id))
    .on_conflict_do_nothing()
    .returning(RESERVATIONS.c.slot, RESERVATIONS.c.order_id)
)
_ORDERS = rows_parameter("orders", slot=SLOT, order_id=ID)
_RESERVATIONS = (
    select(RESERVATIONS)
    .join(_ORDERS, _same(RESERVATIONS, _ORDERS, "slot", "order_id"))
    .order_by(RESERVATIONS.c.slot, RESERVATIONS.c.order_id)
)
_GET_RESERVATIONS = Statement(_RESERVATIONS)
_LOCK_RESERVATIONS = Statement(_RESERVATIONS.with_for_update(of=RESERVATIONS))
_DUE_RESERVATIONS = Statement(
    select(RESERVATIONS.c.slot, RESERVATIONS.c.order_id)
    # Spelled out as in the index of the held ones, which a parameter would not match.
    .where(RESERVATIONS.c.state == literal_column(f"'{HELD}'"), RESERVATIONS.c.expires_at <= bindparam("now"))
    .order_by(RESERVATIONS.c.expires_at)
    .limit(bindparam("limit", type_=BigInteger()))
)
_DECISIONS = rows_parameter(
    "decisions", slot=SLOT, order_id=ID, since=TEXT, state=TEXT, parts=DOCUMENT, refusal=DOCUMENT
)
_DECIDE_RESERVATIONS = Statement(
    update(RESERVATIONS)
    .where(_same(RESERVATIONS, _DECISIONS, "slot", "order_id"), RESERVATIONS.c.state == _DECISIONS.c.since)
    .values(state=_DECISIONS.c.state, parts=_DECISIONS.c.parts, refusal=_DECISIONS.c.refusal)
    .returning(RESERVATIONS.c.order_id)
)
_STEPS = rows_parameter("steps", slot=SLOT, order_id=ID, since=TEXT, state=TEXT, returned=DOCUMENT)
_ADVANCE_RESERVATIONS = Statement(
    update(RESERVATIONS)
    .where(_same(RESERVATIONS, _STEPS, "slot", "order_id"), RESERVATIONS.c.state == _STEPS.c.since)
    .values(state=_STEPS.c.state, returned=_STEPS.c.returned)
    .returning(RESERVATIONS.c.order_id)
)


async def add_levels(tx: Transaction, places: Sequence[Key]) -> None:
    """See that the levels exist, with nothing there and version 0."""
    await tx.run(_ADD_LEVELS, places=places)


async def get_levels(reader: Reader | Database, places: Sequence[Key]) -> Sequence[Row]:
    return await reader.all(_GET_LEVELS, places=places) if places else ()


async def lock_levels(tx: Transaction, places: Sequence[Key]) -> Sequence[Row]:
    """The levels that exist, kept from others until the commit."""
    return await tx.all(_LOCK_LEVELS, places=places) if places else ()


async def levels_of_sku(reader: Reader | Database, sku: str) -> Sequence[Row]:
    return await reader.all(_GET_LEVELS_OF_SKU, sku=sku)


async def levels_of_skus(reader: Reader | Database, skus: Sequence[str]) -> Sequence[Row]:
    """All levels of several skus, each named once."""
    return await reader.all(_GET_LEVELS_OF_SKUS, skus=skus) if skus else ()


async def lock_levels_of_sku(tx: Transaction, sku: str) -> Sequence[Row]:
    return await tx.all(_LOCK_LEVELS_OF_SKU, sku=sku)


async def change_levels(tx: Transaction, changes: Sequence[tuple[Any, ...]]) -> None:
    """Add to levels: key, version before, version after, three signed changes. All of them, or StorageBusy.

    The lock is for throughput and not for truth: a level that is not what it was when the change was decided, or that
    would promise more than is there, is not touched.
    """
    await _change_all(tx, _CHANGE_LEVELS, changes=changes)


async def add_movements(tx: Transaction, entries: Sequence[tuple[Any, ...]]) -> None:
    """Lines of the ledger: key, version, kind, three signed changes, reference, moment."""
    await tx.run(_ADD_MOVEMENTS, rows=entries)


async def latest_movements(reader: Reader, place: Key, *, limit: int) -> Sequence[Row]:
    """The last lines of one level, latest first."""
    slot, sku, location, bucket = place
    return await reader.all(
        _LATEST_MOVEMENTS, of_slot=slot, of_sku=sku, of_location=location, of_bucket=bucket, limit=limit
    )


async def claim_reservations(
    tx: Transaction, claims: Sequence[tuple[int, int, str, str, str, str, int]]
) -> set[OrderKey]:
    """Make the reservations that do not exist yet, and name them: key, state, lines, locations, parts, expiry.

    Waits for whoever is making one of them at this moment.
    """
    if not claims:
        return set()
    return {(row["slot"], row["order_id"]) for row in await tx.all(_CLAIM_RESERVATIONS, claims=claims)}


async def get_reservations(reader: Reader, orders: Sequence[OrderKey]) -> Sequence[Row]:
    return await reader.all(_GET_RESERVATIONS, orders=orders) if orders else ()


async def lock_reservations(tx: Transaction, orders: Sequence[OrderKey]) -> Sequence[Row]:
    """The reservations that exist, kept from others until the commit."""
    return await tx.all(_LOCK_RESERVATIONS, orders=orders) if orders else ()


async def due_reservations(reader: Reader | Database, *, now: int, limit: int) -> list[OrderKey]:
    """Those held for longer than promised, the oldest first."""
    rows = await reader.all(_DUE_RESERVATIONS, now=now, limit=limit)
    return [(row["slot"], row["order_id"]) for row in rows]


async def decide_reservations(tx: Transaction, decisions: Sequence[tuple[int, int, str, str, str, str | None]]) -> None:
    """Write down what was found for locked reservations: key, state before, state after, parts, refusal."""
    await _change_all(tx, _DECIDE_RESERVATIONS, decisions=decisions)


async def advance_reservations(tx: Transaction, steps: Sequence[tuple[int, int, str, str, str | None]]) -> None:
    """From one state to another: key, state before, state after, what has come back. All of them, or StorageBusy."""
    await _change_all(tx, _ADVANCE_RESERVATIONS, steps=steps)


async def _change_all(tx: Transaction, statement: Statement, **rows: Sequence[tuple[Any, ...]]) -> None:
    [(name, wanted)] = rows.items()
    changed = await tx.all(statement, **rows) if wanted else ()
    if len(changed) != len(wanted):
        raise StorageBusy(f"{len(wanted) - len(changed)} {name} do not fit what is there now")
