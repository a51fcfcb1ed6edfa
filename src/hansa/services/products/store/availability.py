"""What inventory says of skus: the newest word per location, and the flag that variants show for it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Integer, and_, case, cast, func, select, update

from hansa.kernel.ids import slot_of, slot_of_value
from hansa.platform.database.port import Transaction
from hansa.platform.database.rows import insert_rows
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import FLAG, ID, SLOT, TEXT
from hansa.services.products.tables import VARIANT_AVAILABILITY, VARIANTS

_ASKED = rows_parameter("rows", slot=SLOT, sku=TEXT)
_SHOWN = rows_parameter("rows", slot=SLOT, product_id=ID, sku=TEXT, is_available=FLAG)

_HEARING = insert_rows(VARIANT_AVAILABILITY)
HEAR = Statement(
    _HEARING.on_conflict_do_update(
        index_elements=["slot", "sku", "location"],
        set_={"is_available": _HEARING.excluded.is_available, "version": _HEARING.excluded.version},
        where=_HEARING.excluded.version > VARIANT_AVAILABILITY.c.version,
    )
)
ANY_LOCATION = Statement(
    select(
        VARIANT_AVAILABILITY.c.sku,
        func.max(case((VARIANT_AVAILABILITY.c.is_available, 1), else_=0)).label("is_available"),
    )
    .join(_ASKED, and_(VARIANT_AVAILABILITY.c.slot == _ASKED.c.slot, VARIANT_AVAILABILITY.c.sku == _ASKED.c.sku))
    .group_by(VARIANT_AVAILABILITY.c.sku)
)
SHOW = Statement(
    update(VARIANTS)
    .where(
        VARIANTS.c.slot == _SHOWN.c.slot,
        VARIANTS.c.product_id == _SHOWN.c.product_id,
        VARIANTS.c.sku == _SHOWN.c.sku,
        cast(VARIANTS.c.is_available, Integer) != cast(_SHOWN.c.is_available, Integer),
    )
    .values(is_available=_SHOWN.c.is_available, availability_version=VARIANTS.c.availability_version + 1)
    .returning(VARIANTS.c.product_id, VARIANTS.c.sku, VARIANTS.c.is_available, VARIANTS.c.availability_version)
)


@dataclass(frozen=True, kw_only=True)
class Flip:
    """A variant that now shows otherwise; `version` counts how often that has happened."""

    product_id: str
    sku: str
    is_available: bool
    version: int


async def hear(tx: Transaction, *, words: Iterable[tuple[str, str, bool, int]]) -> None:
    """Keep the newest word (sku, location, flag, version) per sku and location, whatever the order they come in."""
    newest: dict[tuple[str, str], tuple[bool, int]] = {}
    for sku, location, is_available, version in words:
        known = newest.get((sku, location))
        if known is None or known[1] < version:
            newest[sku, location] = is_available, version
    await tx.run(HEAR, rows=sorted((slot_of_value(sku), sku, place, *word) for (sku, place), word in newest.items()))


async def available(tx: Transaction, *, skus: Iterable[str]) -> dict[str, bool]:
    """Whether any location has a sku, for those of which something was said. The caller has locked the skus."""
    rows = await tx.all(ANY_LOCATION, rows=sorted((slot_of_value(sku), sku) for sku in set(skus)))
    return {row["sku"]: bool(row["is_available"]) for row in rows}


async def show(tx: Transaction, *, variants: Sequence[tuple[str, str, bool]]) -> list[Flip]:
    """Let variants (product id, sku, flag) show whether they are available; those that showed otherwise."""
    if not variants:
        return []
    rows = sorted((slot_of(product_id), int(product_id), sku, flag) for product_id, sku, flag in variants)
    return [
        Flip(
            product_id=str(row["product_id"]),
            sku=row["sku"],
            is_available=bool(row["is_available"]),
            version=row["availability_version"],
        )
        for row in await tx.all(SHOW, rows=rows)
    ]
