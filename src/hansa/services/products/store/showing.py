"""What everybody may see: a page or a product in two statements, offers in two, whatever their number."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Label,
    ScalarSelect,
    Table,
    and_,
    bindparam,
    case,
    cast,
    func,
    or_,
    select,
)

from hansa.kernel.ids import slot_of, slot_of_value
from hansa.platform.database.port import Database, Reader, Row
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import COUNT, ID, MOMENT, SLOT, TEXT
from hansa.services.products.store.moments import PRESENT, present
from hansa.services.products.tables import CATEGORIES, LISTINGS, PRICES, PRODUCT_TEXTS, PRODUCTS, SKUS, SLUGS, VARIANTS

LARGEST_TREE = 20_000
"""Most categories that are shown at once."""

_NAMED = rows_parameter("wanted", slot=SLOT, product_id=ID)
_SKUS = rows_parameter("wanted", slot=SLOT, sku=TEXT)
_PRICED = rows_parameter("wanted", slot=SLOT, product_id=ID, now=MOMENT)
_OFFERED = rows_parameter("wanted", slot=SLOT, product_id=ID, sku=TEXT)


def _of_the_same_product(table: Table, other: Any) -> Any:
    return and_(table.c.slot == other.c.slot, table.c.product_id == other.c.product_id)


def best_locale(products: FromClause = PRODUCTS) -> ScalarSelect[Any]:
    """The language in which each of some products is shown: see rules.languages for the order."""
    texts = PRODUCT_TEXTS.alias("candidates")
    rank = case(
        (texts.c.locale == bindparam("exact", type_=TEXT), 0),
        (texts.c.locale == bindparam("language", type_=TEXT), 1),
        (texts.c.locale == bindparam("default", type_=TEXT), 2),
        else_=3,
    )
    return (
        select(texts.c.locale)
        .where(texts.c.slot == products.c.slot, texts.c.product_id == products.c.product_id)
        .order_by(rank, texts.c.locale)
        .limit(1)
        .correlate(products)
        .scalar_subquery()
    )


def _present_price(name: str, *, now: ColumnElement[int]) -> Label[Any]:
    """A column of the price that counts for one piece now: the newest that has begun and not ended."""
    prices = PRICES.alias("candidates")
    return (
        select(prices.c[name])
        .where(
            prices.c.slot == VARIANTS.c.slot,
            prices.c.product_id == VARIANTS.c.product_id,
            prices.c.sku == VARIANTS.c.sku,
            prices.c.price_list == bindparam("price_list", type_=TEXT),
            prices.c.currency == bindparam("currency", type_=TEXT),
            prices.c.minimum_quantity == 1,
            prices.c.valid_from <= now,
            or_(prices.c.valid_to.is_(None), prices.c.valid_to > now),
        )
        .order_by(prices.c.valid_from.desc(), prices.c.version.desc())
        .limit(1)
        .correlate(VARIANTS, PRODUCTS, _PRICED)
        .scalar_subquery()
        .label(name)
    )


_IN_ITS_LANGUAGE = and_(_of_the_same_product(PRODUCT_TEXTS, PRODUCTS), PRODUCT_TEXTS.c.locale == best_locale())
# Variants are retired and never deleted, so that their sum only grows.
_REVISION = (
    PRODUCTS.c.version
    + select(cast(func.coalesce(func.sum(VARIANTS.c.availability_version), 0), COUNT))
    .where(_of_the_same_product(VARIANTS, PRODUCTS))
    .correlate(PRODUCTS)
    .scalar_subquery()
).label("revision")
_SHOWN = (
    PRODUCTS.c.slot,
    PRODUCTS.c.product_id,
    _REVISION,
    PRODUCTS.c.slug,
    PRODUCTS.c.brand,
    PRODUCTS.c.category,
    PRODUCTS.c.attributes,
    PRODUCTS.c.images,
    PRODUCTS.c.updated_at,
    PRODUCT_TEXTS.c.name,
    PRODUCT_TEXTS.c.description,
)

# The page is cut before anything is joined: else PostgreSQL joins a whole category to show its first products.
_PAGE = (
    select(LISTINGS.c.slot, LISTINGS.c.product_id)
    .where(LISTINGS.c.path == bindparam("path", type_=TEXT), LISTINGS.c.product_id < bindparam("before", type_=ID))
    .order_by(LISTINGS.c.product_id.desc())
    .limit(bindparam("limit", type_=COUNT))
    .subquery("page")
)
LIST_PRODUCTS = Statement(
    select(*_SHOWN)
    .select_from(_PAGE.join(PRODUCTS, _of_the_same_product(PRODUCTS, _PAGE)).join(PRODUCT_TEXTS, _IN_ITS_LANGUAGE))
    .order_by(PRODUCTS.c.product_id.desc())
)
GET_PRODUCTS = Statement(
    select(*_SHOWN)
    .select_from(PRODUCTS.join(PRODUCT_TEXTS, _IN_ITS_LANGUAGE).join(_NAMED, _of_the_same_product(PRODUCTS, _NAMED)))
    .where(PRODUCTS.c.status == "active")
)
GET_VARIANTS = Statement(
    select(
        VARIANTS.c.product_id,
        VARIANTS.c.sku,
        VARIANTS.c.options,
        VARIANTS.c.gtin,
        VARIANTS.c.weight_grams,
        VARIANTS.c.is_available,
        _present_price("amount", now=_PRICED.c.now),
        _present_price("tax_included", now=_PRICED.c.now),
    )
    .select_from(VARIANTS.join(_PRICED, _of_the_same_product(VARIANTS, _PRICED)))
    .where(~VARIANTS.c.is_retired)
    .order_by(VARIANTS.c.product_id, VARIANTS.c.position, VARIANTS.c.sku)
)
# What has begun ends, and what has not begins: of each price the moment that comes next.
_NEXT = case((PRICES.c.valid_from > bindparam("now", type_=MOMENT), PRICES.c.valid_from), else_=PRICES.c.valid_to)
NEXT_PRICE_CHANGE = Statement(
    select(func.min(_NEXT).label("moment")).where(
        PRICES.c.slot == bindparam("slot", type_=SLOT),
        PRICES.c.product_id == bindparam("product_id", type_=ID),
        PRICES.c.price_list == bindparam("price_list", type_=TEXT),
        PRICES.c.currency == bindparam("currency", type_=TEXT),
        bindparam("now", type_=MOMENT) < _NEXT,
    )
)
FIND_SLUG = Statement(
    select(SLUGS.c.product_id).where(
        SLUGS.c.slot == bindparam("slot", type_=SLOT), SLUGS.c.slug == bindparam("slug", type_=TEXT)
    )
)
FIND_SKUS = Statement(
    select(SKUS.c.sku, SKUS.c.product_id)
    .select_from(SKUS.join(_SKUS, and_(SKUS.c.slot == _SKUS.c.slot, SKUS.c.sku == _SKUS.c.sku)))
    .where(SKUS.c.product_id.is_not(None))
)
GET_OFFERS = Statement(
    select(
        VARIANTS.c.product_id,
        VARIANTS.c.sku,
        VARIANTS.c.options,
        VARIANTS.c.tax_class,
        VARIANTS.c.weight_grams,
        VARIANTS.c.seller_id,
        PRODUCTS.c.slug,
        PRODUCT_TEXTS.c.name,
        _present_price("amount", now=PRESENT),
        _present_price("tax_included", now=PRESENT),
    )
    .select_from(
        VARIANTS.join(_OFFERED, and_(_of_the_same_product(VARIANTS, _OFFERED), VARIANTS.c.sku == _OFFERED.c.sku))
        .join(PRODUCTS, _of_the_same_product(VARIANTS, PRODUCTS))
        .join(PRODUCT_TEXTS, _IN_ITS_LANGUAGE)
    )
    .where(PRODUCTS.c.status == "active", ~VARIANTS.c.is_retired)
)
_CATEGORY = bindparam("name", type_=TEXT)
FIND_CATEGORY = Statement(
    select(CATEGORIES.c.path)
    .where(or_(CATEGORIES.c.path == _CATEGORY, CATEGORIES.c.slug == _CATEGORY))
    .order_by(case((CATEGORIES.c.path == _CATEGORY, 0), else_=1), func.length(CATEGORIES.c.path), CATEGORIES.c.path)
    .limit(1)
)
ALL_CATEGORIES = Statement(
    select(CATEGORIES.c.path, CATEGORIES.c.parent, CATEGORIES.c.names)
    .order_by(CATEGORIES.c.path)
    .limit(bindparam("limit", type_=COUNT))
)


async def page(reader: Reader, *, path: str, before: int, limit: int, languages: tuple[str, str, str]) -> Sequence[Row]:
    """Active products under a path, newest first, those with an id below `before`."""
    exact, language, default = languages
    return await reader.all(
        LIST_PRODUCTS, path=path, before=before, limit=limit, exact=exact, language=language, default=default
    )


async def product(reader: Reader, *, product_id: str, languages: tuple[str, str, str]) -> Row | None:
    """An active product, or None."""
    exact, language, default = languages
    wanted = [(slot_of(product_id), int(product_id))]
    return await reader.one(GET_PRODUCTS, wanted=wanted, exact=exact, language=language, default=default)


async def variants(
    reader: Reader, *, products: Sequence[Row], currency: str, price_list: str, now: int
) -> dict[int, list[Row]]:
    """The variants on sale of some products by product id, in their order; `amount` is None without a price."""
    wanted = [(row["slot"], row["product_id"], present(now=now, updated_at=row["updated_at"])) for row in products]
    rows = await reader.all(GET_VARIANTS, wanted=wanted, currency=currency, price_list=price_list)
    found: dict[int, list[Row]] = {row["product_id"]: [] for row in products}
    for row in rows:
        found[row["product_id"]].append(row)
    return found


async def next_price_change(reader: Reader, *, product: Row, currency: str, price_list: str, now: int) -> int | None:
    """The moment, in microseconds, from when on one of its prices may be another without anybody changing it."""
    row = await reader.one(
        NEXT_PRICE_CHANGE,
        slot=product["slot"],
        product_id=product["product_id"],
        price_list=price_list,
        currency=currency,
        now=present(now=now, updated_at=product["updated_at"]),
    )
    return None if row is None else row["moment"]


async def product_of_slug(database: Database, *, slug: str) -> str | None:
    """Whose a slug is; that never changes, so it needs no snapshot with what is asked afterwards."""
    row = await database.one(FIND_SLUG, slot=slot_of_value(slug), slug=slug)
    return str(row["product_id"]) if row else None


async def offers(
    database: Database,
    *,
    skus: Sequence[str],
    languages: tuple[str, str, str],
    currency: str,
    price_list: str,
    now: int,
) -> dict[str, Row]:
    """What is on sale of some skus, by sku; `amount` is None without a price. A sku never changes its owner."""
    owned = await database.all(FIND_SKUS, wanted=[(slot_of_value(sku), sku) for sku in skus])
    if not owned:
        return {}
    exact, language, default = languages
    rows = await database.all(
        GET_OFFERS,
        wanted=[(slot_of(str(row["product_id"])), row["product_id"], row["sku"]) for row in owned],
        currency=currency,
        price_list=price_list,
        now=now,
        exact=exact,
        language=language,
        default=default,
    )
    return {row["sku"]: row for row in rows}


async def category_path(reader: Reader, *, name: str) -> str | None:
    """The category with this path; else, of those with this slug, the one nearest to the root."""
    row = await reader.one(FIND_CATEGORY, name=name)
    return str(row["path"]) if row else None


async def categories(database: Database) -> Sequence[Row]:
    return await database.all(ALL_CATEGORIES, limit=LARGEST_TREE)
