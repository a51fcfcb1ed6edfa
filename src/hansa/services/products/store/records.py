"""Whole products, as staff and imports see them: in all languages, with the prices that have not ended."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import and_, bindparam, func, or_, select, tuple_

from hansa.kernel.clock import from_micros
from hansa.kernel.ids import slot_of, slot_of_value
from hansa.platform.database.port import Database, Reader, Row
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import COUNT, ID, MOMENT, SLOT, TEXT
from hansa.services.products.contract import (
    AttributeValue,
    Availability,
    CategoryDraft,
    ImageDraft,
    PriceDraft,
    ProductDraft,
    Text,
    VariantDraft,
)
from hansa.services.products.store.moments import present
from hansa.services.products.tables import CATEGORIES, PRICES, PRODUCT_TEXTS, PRODUCTS, VARIANTS

PRICES_KEPT_IN_SIGHT = 50
"""How many of the newest rows are looked at, of each price list, currency and quantity of a variant."""
IDS_AT_ONCE = 2_000
"""Ids in a page of all of them."""

_WANTED = rows_parameter("wanted", slot=SLOT, product_id=ID)
_PATHS = rows_parameter("wanted", slot=SLOT, path=TEXT)

PRODUCT_ROWS = Statement(
    select(PRODUCTS).join(
        _WANTED, and_(PRODUCTS.c.slot == _WANTED.c.slot, PRODUCTS.c.product_id == _WANTED.c.product_id)
    )
)
TEXT_ROWS = Statement(
    select(PRODUCT_TEXTS)
    .join(_WANTED, and_(PRODUCT_TEXTS.c.slot == _WANTED.c.slot, PRODUCT_TEXTS.c.product_id == _WANTED.c.product_id))
    .order_by(PRODUCT_TEXTS.c.product_id, PRODUCT_TEXTS.c.locale)
)
VARIANT_ROWS = Statement(
    select(VARIANTS)
    .join(_WANTED, and_(VARIANTS.c.slot == _WANTED.c.slot, VARIANTS.c.product_id == _WANTED.c.product_id))
    .order_by(VARIANTS.c.product_id, VARIANTS.c.position, VARIANTS.c.sku)
)
_RANKED = (
    select(
        PRICES,
        func.row_number()
        .over(
            partition_by=(
                PRICES.c.product_id,
                PRICES.c.sku,
                PRICES.c.price_list,
                PRICES.c.currency,
                PRICES.c.minimum_quantity,
            ),
            order_by=(PRICES.c.valid_from.desc(), PRICES.c.version.desc()),
        )
        .label("rank"),
    )
    .join(_WANTED, and_(PRICES.c.slot == _WANTED.c.slot, PRICES.c.product_id == _WANTED.c.product_id))
    .where(or_(PRICES.c.valid_to.is_(None), PRICES.c.valid_to > bindparam("now", type_=MOMENT)))
    .subquery("ranked")
)
PRICE_ROWS = Statement(
    select(_RANKED)
    .where(_RANKED.c.rank <= PRICES_KEPT_IN_SIGHT)
    .order_by(_RANKED.c.product_id, _RANKED.c.sku, _RANKED.c.valid_from, _RANKED.c.version)
)
CATEGORY_NAMES = Statement(
    select(CATEGORIES.c.path, CATEGORIES.c.names).join(
        _PATHS, and_(CATEGORIES.c.slot == _PATHS.c.slot, CATEGORIES.c.path == _PATHS.c.path)
    )
)

PAGE = Statement(
    select(PRODUCTS.c.slot, PRODUCTS.c.product_id)
    .where(
        tuple_(PRODUCTS.c.slot, PRODUCTS.c.product_id)
        > tuple_(bindparam("slot", type_=SLOT), bindparam("product_id", type_=ID))
    )
    .order_by(PRODUCTS.c.slot, PRODUCTS.c.product_id)
    .limit(bindparam("limit", type_=COUNT))
)
LISTED = Statement(
    select(PRODUCTS.c.slot, PRODUCTS.c.product_id, PRODUCTS.c.slug, PRODUCTS.c.updated_at)
    .where(
        PRODUCTS.c.status == "active",
        tuple_(PRODUCTS.c.slot, PRODUCTS.c.product_id)
        > tuple_(bindparam("slot", type_=SLOT), bindparam("product_id", type_=ID)),
    )
    .order_by(PRODUCTS.c.slot, PRODUCTS.c.product_id)
    .limit(bindparam("limit", type_=COUNT))
)

_ATTRIBUTES = msgspec.json.Decoder(dict[str, AttributeValue])
_IMAGES = msgspec.json.Decoder(tuple[ImageDraft, ...])
_NAMES = msgspec.json.Decoder(dict[str, str])
_FACTS = (
    "gtin",
    "weight_grams",
    "width_mm",
    "height_mm",
    "depth_mm",
    "hs_code",
    "country_of_origin",
    "tax_class",
    "unit",
    "age_limit",
    "hazard",
)
"""The columns of a variant that are called as in its draft."""


@dataclass(frozen=True, kw_only=True)
class KeptProduct:
    """A product as it is kept. `draft` has its variants on sale, without prices."""

    product_id: str
    version: int
    digest: str
    made_at: int
    updated_at: int
    seen_at: int
    """What time it was for the product when it was read: see store.moments."""
    draft: ProductDraft
    prices: dict[str, tuple[PriceDraft, ...]]
    """By sku, those that have not ended, in the order in which they win: by beginning, then by age of the row."""
    retired: frozenset[str]
    """The skus that are off sale."""
    availability: dict[str, Availability]
    """Of those on sale."""


async def whole(reader: Reader, *, product_ids: Sequence[str], now: int) -> dict[str, KeptProduct]:
    """Products by id, archived ones too; unknown ids are left out. Five statements, whatever the number."""
    wanted = sorted((slot_of(product_id), int(product_id)) for product_id in product_ids)
    products = await reader.all(PRODUCT_ROWS, wanted=wanted)
    texts = _grouped(await reader.all(TEXT_ROWS, wanted=wanted))
    variants = _grouped(await reader.all(VARIANT_ROWS, wanted=wanted))
    prices = _grouped(await reader.all(PRICE_ROWS, wanted=wanted, now=now))
    names = await _category_names(reader, {row["category"] for row in products if row["category"]})
    return {
        str(row["product_id"]): _kept(
            row,
            texts=texts[row["product_id"]],
            variants=variants[row["product_id"]],
            prices=prices[row["product_id"]],
            names=names,
            now=now,
        )
        for row in products
    }


async def page(reader: Reader, *, after: tuple[int, int], limit: int) -> list[str]:
    """The ids of the next products after a slot and id, in that order."""
    rows = await reader.all(PAGE, slot=after[0], product_id=after[1], limit=limit)
    return [str(row["product_id"]) for row in rows]


async def all_ids(database: Database) -> AsyncIterator[list[int]]:
    """The ids of all products, archived ones too, in pages and in the order of the key. One that was there when this
    began is in a page: products are never deleted, and their keys never change."""
    after = (-1, 0)
    while rows := await database.all(PAGE, slot=after[0], product_id=after[1], limit=IDS_AT_ONCE):
        yield [row["product_id"] for row in rows]
        after = (rows[-1]["slot"], rows[-1]["product_id"])


def _grouped(rows: Sequence[Row]) -> dict[int, list[Row]]:
    groups: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["product_id"]].append(row)
    return groups


async def _category_names(reader: Reader, categories: set[str]) -> dict[str, dict[str, str]]:
    """The names of categories and all above them, by path."""
    paths = {path for category in categories for path in _down_to(category)}
    if not paths:
        return {}
    rows = await reader.all(CATEGORY_NAMES, wanted=sorted((slot_of_value(path), path) for path in paths))
    return {row["path"]: _NAMES.decode(row["names"]) for row in rows}


def _down_to(path: str) -> list[str]:
    slugs = path.split("/")
    return ["/".join(slugs[: depth + 1]) for depth in range(len(slugs))]


def _kept(
    row: Row,
    *,
    texts: Sequence[Row],
    variants: Sequence[Row],
    prices: Sequence[Row],
    names: dict[str, dict[str, str]],
    now: int,
) -> KeptProduct:
    by_sku: dict[str, list[PriceDraft]] = defaultdict(list)
    seen_at = present(now=now, updated_at=row["updated_at"])
    for price in prices:
        if price["valid_to"] is None or price["valid_to"] > seen_at:
            by_sku[price["sku"]].append(_price(price))
    draft = ProductDraft(
        slug=row["slug"],
        texts={text["locale"]: Text(name=text["name"], description=text["description"]) for text in texts},
        variants=tuple(_variant(variant) for variant in variants if not variant["is_retired"]),
        category=tuple(
            CategoryDraft(slug=path.rpartition("/")[2], names=names.get(path, {}))
            for path in (_down_to(row["category"]) if row["category"] else ())
        ),
        brand=row["brand"],
        images=_IMAGES.decode(row["images"]),
        attributes=_ATTRIBUTES.decode(row["attributes"]),
        status=row["status"],
    )
    return KeptProduct(
        product_id=str(row["product_id"]),
        version=row["version"],
        digest=row["digest"],
        made_at=row["made_at"],
        updated_at=row["updated_at"],
        draft=draft,
        seen_at=seen_at,
        prices={sku: tuple(found) for sku, found in by_sku.items()},
        retired=frozenset(variant["sku"] for variant in variants if variant["is_retired"]),
        availability={
            variant["sku"]: Availability(
                is_available=bool(variant["is_available"]), version=variant["availability_version"]
            )
            for variant in variants
            if not variant["is_retired"]
        },
    )


def _variant(row: Row) -> VariantDraft:
    return VariantDraft(sku=row["sku"], options=_NAMES.decode(row["options"]), **{fact: row[fact] for fact in _FACTS})


def _price(row: Row) -> PriceDraft:
    return PriceDraft(
        amount=row["amount"],
        currency=row["currency"],
        tax_included=bool(row["tax_included"]),
        price_list=row["price_list"],
        minimum_quantity=row["minimum_quantity"],
        valid_from=from_micros(row["valid_from"]),
        valid_to=None if row["valid_to"] is None else from_micros(row["valid_to"]),
    )
