"""The front page itself: shelves of products, categories, and banners, all in one slot."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import and_, bindparam, case, delete, select, tuple_, update

from hansa.platform.database.port import Database, Reader, Row, Transaction
from hansa.platform.database.rows import insert_rows
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import COUNT, DOCUMENT, ID, SLOT, TEXT
from hansa.services.home.tables import BANNERS, CATEGORIES, SHELVES

ALL_BANNERS = "all"

Place = tuple[str, str]
"""A product and a shelf."""


_PLACES = rows_parameter("places", slot=SLOT, product_id=ID, shelf=TEXT)
GET_PLACES = Statement(
    select(SHELVES.c.product_id, SHELVES.c.shelf, SHELVES.c.score).join(
        _PLACES,
        and_(
            SHELVES.c.slot == _PLACES.c.slot,
            SHELVES.c.product_id == _PLACES.c.product_id,
            SHELVES.c.shelf == _PLACES.c.shelf,
        ),
    )
)
_PUTTING = insert_rows(SHELVES)
PUT_PLACES = Statement(
    _PUTTING.on_conflict_do_update(
        index_elements=["slot", "product_id", "shelf"], set_={"score": _PUTTING.excluded.score}
    )
)
DROP_PLACES = Statement(
    delete(SHELVES).where(
        tuple_(SHELVES.c.slot, SHELVES.c.product_id, SHELVES.c.shelf).in_(
            select(_PLACES.c.slot, _PLACES.c.product_id, _PLACES.c.shelf)
        )
    )
)
TOP = Statement(
    select(SHELVES.c.product_id)
    .where(SHELVES.c.slot == bindparam("slot", type_=SLOT), SHELVES.c.shelf == bindparam("shelf", type_=TEXT))
    .order_by(SHELVES.c.score.desc(), SHELVES.c.product_id.desc())
    .limit(bindparam("most", type_=COUNT))
)
_NAMING = insert_rows(CATEGORIES)
NAME_CATEGORIES = Statement(
    _NAMING.on_conflict_do_update(
        index_elements=["slot", "path"],
        set_={"names": case((_NAMING.excluded.names == "{}", CATEGORIES.c.names), else_=_NAMING.excluded.names)},
    )
)
_COUNTS = rows_parameter("counts", slot=SLOT, path=TEXT, products=COUNT)
_COUNTED = and_(CATEGORIES.c.slot == _COUNTS.c.slot, CATEGORIES.c.path == _COUNTS.c.path)
_SUM = CATEGORIES.c.products + _COUNTS.c.products
# A count that is too low by some mishap must not keep news out for good: rebuilding mends it.
ADD_TO_COUNTS = Statement(update(CATEGORIES).where(_COUNTED).values(products=case((_SUM < 0, 0), else_=_SUM)))
SET_COUNTS = Statement(update(CATEGORIES).where(_COUNTED).values(products=_COUNTS.c.products))
LOCK_CATEGORIES = Statement(
    select(CATEGORIES.c.path)
    .where(CATEGORIES.c.slot == bindparam("slot", type_=SLOT))
    .order_by(CATEGORIES.c.slot, CATEGORIES.c.path)
    .with_for_update()
)
_PICTURED = (
    select(SHELVES.c.product_id)
    .where(SHELVES.c.slot == CATEGORIES.c.slot, SHELVES.c.shelf == bindparam("prefix", type_=TEXT) + CATEGORIES.c.path)
    .order_by(SHELVES.c.score.desc(), SHELVES.c.product_id.desc())
    .limit(1)
    .correlate(CATEGORIES)
    .scalar_subquery()
)
SHOWN_CATEGORIES = Statement(
    select(CATEGORIES.c.path, CATEGORIES.c.names, CATEGORIES.c.products, _PICTURED.label("pictured"))
    .where(CATEGORIES.c.slot == bindparam("slot", type_=SLOT), CATEGORIES.c.products > 0)
    .order_by(CATEGORIES.c.depth, CATEGORIES.c.products.desc(), CATEGORIES.c.path)
    .limit(bindparam("most", type_=COUNT))
)

GET_BANNERS = Statement(
    select(BANNERS.c.version, BANNERS.c.banners).where(
        BANNERS.c.slot == bindparam("slot", type_=SLOT), BANNERS.c.name == bindparam("name", type_=TEXT)
    )
)
ADD_BANNERS = Statement(insert_rows(BANNERS).on_conflict_do_nothing().returning(BANNERS.c.version))
CHANGE_BANNERS = Statement(
    update(BANNERS)
    .where(
        BANNERS.c.slot == bindparam("of_slot", type_=SLOT),
        BANNERS.c.name == bindparam("of_name", type_=TEXT),
        BANNERS.c.version == bindparam("since", type_=COUNT),
    )
    .values(version=BANNERS.c.version + 1, banners=bindparam("new_banners", type_=DOCUMENT))
    .returning(BANNERS.c.version)
)


async def scores(tx: Transaction, *, slot: int, places: Iterable[Place]) -> dict[Place, int]:
    """The scores of those places that are taken."""
    rows = await tx.all(GET_PLACES, places=_rows(slot, places))
    return {(str(row["product_id"]), row["shelf"]): row["score"] for row in rows}


async def put_places(tx: Transaction, *, slot: int, scores: Mapping[Place, int]) -> None:
    if scores:
        rows = [(slot, int(product_id), shelf, score) for (product_id, shelf), score in scores.items()]
        await tx.run(PUT_PLACES, rows=sorted(rows))


async def drop_places(tx: Transaction, *, slot: int, places: Collection[Place]) -> None:
    if places:
        await tx.run(DROP_PLACES, places=_rows(slot, places))


async def top(reader: Reader, *, slot: int, shelf: str, most: int) -> list[str]:
    """The products with the highest scores on a shelf; of equal ones the latest."""
    return [str(row["product_id"]) for row in await reader.all(TOP, slot=slot, shelf=shelf, most=most)]


async def name_categories(tx: Transaction, *, slot: int, names: Mapping[str, tuple[int, str]]) -> None:
    """Hold the rows of categories by path, making those that are missing. A depth and the names as JSON come with each
    path; no names (`{}`) leave those that are known."""
    if rows := sorted((slot, path, depth, text, 0) for path, (depth, text) in names.items()):
        await tx.run(NAME_CATEGORIES, rows=rows)


async def add_to_counts(tx: Transaction, *, slot: int, changes: Mapping[str, int]) -> None:
    """Count products in or out of categories whose rows are held."""
    if rows := sorted((slot, path, change) for path, change in changes.items() if change):
        await tx.run(ADD_TO_COUNTS, counts=rows)


async def lock_categories(tx: Transaction, *, slot: int) -> list[str]:
    """The paths of all categories, whose rows are held until the end of the transaction."""
    return [row["path"] for row in await tx.all(LOCK_CATEGORIES, slot=slot)]


async def set_counts(tx: Transaction, *, slot: int, counts: Mapping[str, int]) -> None:
    if rows := sorted((slot, path, count) for path, count in counts.items()):
        await tx.run(SET_COUNTS, counts=rows)


async def categories(reader: Reader, *, slot: int, shelf_prefix: str, most: int) -> Sequence[Row]:
    """Categories that have products, with the product whose picture stands for them, as `pictured`: those of the first
    level before those of the second, and the largest before the smaller ones."""
    return await reader.all(SHOWN_CATEGORIES, slot=slot, prefix=shelf_prefix, most=most)


async def banners(reader: Reader | Database, *, slot: int) -> tuple[int, str]:
    """The version of the banners, and the banners as JSON; 0 and none where there were never any."""
    row = await reader.one(GET_BANNERS, slot=slot, name=ALL_BANNERS)
    return (0, "[]") if row is None else (row["version"], row["banners"])


async def put_banners(tx: Transaction, *, slot: int, banners: str, since: int) -> bool:
    """Replace the banners if they are still at version `since`."""
    if since == 0:
        return await tx.one(ADD_BANNERS, rows=[(slot, ALL_BANNERS, 1, banners)]) is not None
    changed = await tx.one(CHANGE_BANNERS, of_slot=slot, of_name=ALL_BANNERS, since=since, new_banners=banners)
    return changed is not None


def _rows(slot: int, places: Iterable[Place]) -> list[tuple[int, int, str]]:
    return sorted({(slot, int(product_id), shelf) for product_id, shelf in places})
