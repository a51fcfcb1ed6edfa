"""Claiming slugs and skus, and writing whole sets of products in a few statements."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, and_, bindparam, delete, select, true, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from hansa.kernel.ids import slot_of, slot_of_value
from hansa.platform.database.port import Database, Transaction
from hansa.platform.database.rows import insert_rows
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import ID, SLOT, TEXT
from hansa.services.products.tables import (
    CATEGORIES,
    LISTINGS,
    PRICES,
    PRODUCT_TEXTS,
    PRODUCTS,
    SKUS,
    SLUGS,
    VARIANTS,
)


def _putting(table: Table, *, keeping: Collection[str] = ()) -> Statement:
    """Insert rows, or replace those with the same key, but for the columns to keep."""
    adding = insert_rows(table)
    replaced = [column.name for column in table.c if not column.primary_key and column.name not in keeping]
    return Statement(
        adding.on_conflict_do_update(
            index_elements=[column.name for column in table.primary_key],
            set_={name: adding.excluded[name] for name in replaced},
        )
    )


_SLUGS = rows_parameter("rows", slot=SLOT, slug=TEXT)
_SKUS = rows_parameter("rows", slot=SLOT, sku=TEXT)
_OWNED = rows_parameter("rows", slot=SLOT, sku=TEXT, product_id=ID)
_LISTED = rows_parameter("rows", slot=SLOT, product_id=ID, path=TEXT)
_SPOKEN = rows_parameter("rows", slot=SLOT, product_id=ID, locale=TEXT)
_SOLD = rows_parameter("rows", slot=SLOT, product_id=ID, sku=TEXT)

_KNOWN = select(SLUGS.c.slug, PRODUCTS.c.product_id, PRODUCTS.c.digest).select_from(
    SLUGS.join(_SLUGS, and_(SLUGS.c.slot == _SLUGS.c.slot, SLUGS.c.slug == _SLUGS.c.slug)).join(
        PRODUCTS, and_(PRODUCTS.c.slot == SLUGS.c.slot, PRODUCTS.c.product_id == SLUGS.c.product_id)
    )
)
FIND_KNOWN = Statement(_KNOWN)
LOCK_KNOWN = Statement(_KNOWN.order_by(PRODUCTS.c.slot, PRODUCTS.c.product_id).with_for_update(of=PRODUCTS))
LOCK_PRODUCT = Statement(
    select(PRODUCTS.c.version)
    .where(PRODUCTS.c.slot == bindparam("slot", type_=SLOT), PRODUCTS.c.product_id == bindparam("product_id", type_=ID))
    .with_for_update()
)
CLAIM_SLUGS = Statement(insert_rows(SLUGS).on_conflict_do_nothing().returning(SLUGS.c.slug))
RELEASE_SLUGS = Statement(
    delete(SLUGS).where(tuple_(SLUGS.c.slot, SLUGS.c.slug).in_(select(_SLUGS.c.slot, _SLUGS.c.slug)))
)
KNOW_SKUS = Statement(
    insert(SKUS).from_select(["slot", "sku"], select(_SKUS.c.slot, _SKUS.c.sku).where(true())).on_conflict_do_nothing()
)
LOCK_SKUS = Statement(
    select(SKUS.c.sku, SKUS.c.product_id)
    .join(_SKUS, and_(SKUS.c.slot == _SKUS.c.slot, SKUS.c.sku == _SKUS.c.sku))
    .order_by(SKUS.c.slot, SKUS.c.sku)
    .with_for_update(of=SKUS)
)
OWN_SKUS = Statement(
    update(SKUS)
    .where(SKUS.c.slot == _OWNED.c.slot, SKUS.c.sku == _OWNED.c.sku, SKUS.c.product_id.is_(None))
    .values(product_id=_OWNED.c.product_id)
)

PUT_PRODUCTS = _putting(PRODUCTS, keeping=("made_at",))
PUT_TEXTS = _putting(PRODUCT_TEXTS)
PUT_VARIANTS = _putting(VARIANTS, keeping=("is_available", "availability_version"))
ADD_PRICES = Statement(insert_rows(PRICES))
ADD_CATEGORIES = Statement(insert_rows(CATEGORIES).on_conflict_do_nothing())
ADD_LISTINGS = Statement(insert_rows(LISTINGS).on_conflict_do_nothing())
DROP_LISTINGS = Statement(
    delete(LISTINGS).where(
        tuple_(LISTINGS.c.slot, LISTINGS.c.product_id, LISTINGS.c.path).in_(
            select(_LISTED.c.slot, _LISTED.c.product_id, _LISTED.c.path)
        )
    )
)
DROP_TEXTS = Statement(
    delete(PRODUCT_TEXTS).where(
        tuple_(PRODUCT_TEXTS.c.slot, PRODUCT_TEXTS.c.product_id, PRODUCT_TEXTS.c.locale).in_(
            select(_SPOKEN.c.slot, _SPOKEN.c.product_id, _SPOKEN.c.locale)
        )
    )
)
RETIRE_VARIANTS = Statement(
    update(VARIANTS)
    .where(
        VARIANTS.c.slot == _SOLD.c.slot,
        VARIANTS.c.product_id == _SOLD.c.product_id,
        VARIANTS.c.sku == _SOLD.c.sku,
    )
    .values(is_retired=True)
)


@dataclass(frozen=True, kw_only=True)
class Known:
    """A product that has a slug, and the digest of its last draft."""

    product_id: str
    digest: str


async def find_known(database: Database, *, slugs: Iterable[str]) -> dict[str, Known]:
    """The products with these slugs, by slug."""
    return _known(await database.all(FIND_KNOWN, rows=_by_value(slugs)))


async def lock_known(tx: Transaction, *, slugs: Iterable[str]) -> dict[str, Known]:
    """As find_known; nobody else changes these products until the transaction ends."""
    return _known(await tx.all(LOCK_KNOWN, rows=_by_value(slugs)))


def _known(rows: Sequence[Any]) -> dict[str, Known]:
    return {row["slug"]: Known(product_id=str(row["product_id"]), digest=row["digest"]) for row in rows}


def _by_value(values: Iterable[str]) -> list[tuple[int, str]]:
    """Rows of values with their slots, in the order in which everybody locks them."""
    return sorted((slot_of_value(value), value) for value in set(values))


async def lock_product(tx: Transaction, *, product_id: str) -> int | None:
    """The version of a product, which nobody else changes until the transaction ends; None if there is none."""
    row = await tx.one(LOCK_PRODUCT, slot=slot_of(product_id), product_id=int(product_id))
    return None if row is None else int(row["version"])


async def claim_slugs(tx: Transaction, *, ids: dict[str, str]) -> set[str]:
    """Take slugs for products (slug to id); those that were free. Waits for others who are taking the same."""
    rows = sorted((slot_of_value(slug), slug, int(product_id)) for slug, product_id in ids.items())
    return {row["slug"] for row in await tx.all(CLAIM_SLUGS, rows=rows)}


async def release_slugs(tx: Transaction, *, slugs: Collection[str]) -> None:
    """Give back slugs that were claimed in this transaction for products that are refused."""
    if slugs:
        await tx.run(RELEASE_SLUGS, rows=_by_value(slugs))


async def lock_skus(tx: Transaction, *, skus: Iterable[str]) -> dict[str, str]:
    """Whose the skus are, by sku, without the free ones; nobody changes that until the transaction ends."""
    rows = _by_value(skus)
    await tx.run(KNOW_SKUS, rows=rows)
    locked = await tx.all(LOCK_SKUS, rows=rows)
    return {row["sku"]: str(row["product_id"]) for row in locked if row["product_id"] is not None}


async def own_skus(tx: Transaction, *, owners: dict[str, str]) -> None:
    """Give free and locked skus to products for good (sku to product id)."""
    if owners:
        rows = sorted((slot_of_value(sku), sku, int(product_id)) for sku, product_id in owners.items())
        await tx.run(OWN_SKUS, rows=rows)


@dataclass(frozen=True, kw_only=True)
class Written:
    """Rows to write, each in the order of its table's columns; to drop, in that of its key."""

    products: list[tuple[Any, ...]]
    texts: list[tuple[Any, ...]]
    variants: list[tuple[Any, ...]]
    prices: list[tuple[Any, ...]]
    categories: list[tuple[Any, ...]]
    listings: list[tuple[Any, ...]]
    dropped_texts: list[tuple[Any, ...]]
    retired_variants: list[tuple[Any, ...]]
    dropped_listings: list[tuple[Any, ...]]


async def write(tx: Transaction, rows: Written) -> None:
    """Write products whose slugs and skus the transaction holds."""
    for statement, part in (
        (PUT_PRODUCTS, rows.products),
        (PUT_TEXTS, rows.texts),
        (PUT_VARIANTS, rows.variants),
        (ADD_PRICES, rows.prices),
        (ADD_CATEGORIES, sorted(rows.categories)),
        (ADD_LISTINGS, rows.listings),
        (DROP_TEXTS, rows.dropped_texts),
        (RETIRE_VARIANTS, rows.retired_variants),
        (DROP_LISTINGS, rows.dropped_listings),
    ):
        if part:
            await tx.run(statement, rows=part)
