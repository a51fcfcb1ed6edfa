"""Products as home knows them: their cards, and whether their variants can be had."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import and_, case, func, select, tuple_, update

from hansa.kernel.ids import slot_of
from hansa.platform.database.port import Reader, Row, Transaction
from hansa.platform.database.rows import insert_rows, row_of
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import COUNT, DOCUMENT, FLAG, ID, MOMENT, SLOT, TEXT
from hansa.services.home.tables import CARDS, VARIANTS

Word = tuple[str, str, bool, int]
"""Product, sku, whether it can be had, and the count of such words on the sku."""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What decides where a product stands; `made_at` is in microseconds."""

    product_id: str
    version: int = 0
    is_active: bool = False
    is_available: bool = False
    sold: int = 0
    category: str = ""
    made_at: int = 0
    has_picture: bool = False


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What products say of a product; `picture` and `face` are JSON."""

    product_id: str
    version: int
    is_active: bool
    category: str
    made_at: int
    picture: str | None
    face: str


_PRODUCTS = rows_parameter("products", slot=SLOT, product_id=ID)
_CARD_KEY = (CARDS.c.slot, CARDS.c.product_id)


def _of_products(table: Any) -> Any:
    return and_(table.c.slot == _PRODUCTS.c.slot, table.c.product_id == _PRODUCTS.c.product_id)


KNOWN_CARDS = Statement(select(CARDS.c.product_id).join(_PRODUCTS, _of_products(CARDS)))
ADD_CARDS = Statement(insert_rows(CARDS).on_conflict_do_nothing())
LOCK_CARDS = Statement(
    select(
        CARDS.c.product_id,
        CARDS.c.version,
        CARDS.c.is_active,
        CARDS.c.is_available,
        CARDS.c.sold,
        CARDS.c.category,
        CARDS.c.made_at,
        CARDS.c.picture.is_not(None).label("has_picture"),
    )
    .join(_PRODUCTS, _of_products(CARDS))
    .order_by(*_CARD_KEY)
    .with_for_update(of=CARDS)
)
_FACTS = rows_parameter(
    "facts",
    slot=SLOT,
    product_id=ID,
    version=COUNT,
    is_active=FLAG,
    category=TEXT,
    made_at=MOMENT,
    picture=DOCUMENT,
    face=DOCUMENT,
)
PUT_FACTS = Statement(
    update(CARDS)
    .where(CARDS.c.slot == _FACTS.c.slot, CARDS.c.product_id == _FACTS.c.product_id)
    .values({name: _FACTS.c[name] for name in Facts.__struct_fields__ if name != "product_id"})
)
_STANDING = rows_parameter("standing", slot=SLOT, product_id=ID, is_available=FLAG, sold=COUNT)
PUT_STANDING = Statement(
    update(CARDS)
    .where(CARDS.c.slot == _STANDING.c.slot, CARDS.c.product_id == _STANDING.c.product_id)
    .values(is_available=_STANDING.c.is_available, sold=_STANDING.c.sold)
)
COUNT_ACTIVE = Statement(
    select(CARDS.c.category, func.count().label("products")).where(CARDS.c.is_active).group_by(CARDS.c.category)
)

_HEARING = insert_rows(VARIANTS)
HEAR = Statement(
    _HEARING.on_conflict_do_update(
        index_elements=["slot", "product_id", "sku"],
        set_={"is_available": _HEARING.excluded.is_available, "version": _HEARING.excluded.version},
        where=_HEARING.excluded.version > VARIANTS.c.version,
    )
)
_ON_SALE = rows_parameter("on_sale", slot=SLOT, product_id=ID, sku=TEXT)
SELL = Statement(
    update(VARIANTS)
    .where(tuple_(VARIANTS.c.slot, VARIANTS.c.product_id).in_(select(_PRODUCTS.c.slot, _PRODUCTS.c.product_id)))
    .values(
        is_on_sale=tuple_(VARIANTS.c.slot, VARIANTS.c.product_id, VARIANTS.c.sku).in_(
            select(_ON_SALE.c.slot, _ON_SALE.c.product_id, _ON_SALE.c.sku)
        )
    )
)
AVAILABLE = Statement(
    select(
        VARIANTS.c.product_id,
        func.max(case((and_(VARIANTS.c.is_on_sale, VARIANTS.c.is_available), 1), else_=0)).label("is_available"),
    )
    .join(_PRODUCTS, _of_products(VARIANTS))
    .group_by(VARIANTS.c.product_id)
)

SHOWN_CARDS = Statement(
    select(CARDS.c.product_id, CARDS.c.is_available, CARDS.c.picture, CARDS.c.face).join(_PRODUCTS, _of_products(CARDS))
)
PICTURES = Statement(select(CARDS.c.product_id, CARDS.c.picture).join(_PRODUCTS, _of_products(CARDS)))


async def hold(tx: Transaction, *, product_ids: Collection[str]) -> dict[str, Card]:
    """Lock the cards of products until the end of the transaction, making those that are missing."""
    places = _places(product_ids)
    known = {row["product_id"] for row in await tx.all(KNOWN_CARDS, products=places)}
    # Locked only once all of them are there: whoever locks some and adds others could wait in a ring.
    if missing := [(slot, id_) for slot, id_ in places if id_ not in known]:
        empty = msgspec.structs.asdict(Card(product_id=""))
        rows = [
            row_of(CARDS, **empty | {"slot": slot, "product_id": id_}, picture=None, face="{}") for slot, id_ in missing
        ]
        await tx.run(ADD_CARDS, rows=rows)
    cards = [
        Card(
            product_id=str(row["product_id"]),
            version=row["version"],
            is_active=bool(row["is_active"]),
            is_available=bool(row["is_available"]),
            sold=row["sold"],
            category=row["category"],
            made_at=row["made_at"],
            has_picture=bool(row["has_picture"]),
        )
        for row in await tx.all(LOCK_CARDS, products=places)
    ]
    return {card.product_id: card for card in cards}


async def put_facts(tx: Transaction, *, facts: Sequence[Facts], on_sale: Iterable[tuple[str, str]]) -> None:
    """Write down what products say of themselves; `on_sale` are all their products and skus on sale. Cards are held."""
    if not facts:
        return
    rows = [(slot_of(each.product_id), int(each.product_id), *msgspec.structs.astuple(each)[1:]) for each in facts]
    await tx.run(PUT_FACTS, facts=sorted(rows))
    await tx.run(
        SELL,
        products=_places(each.product_id for each in facts),
        on_sale=sorted((slot_of(product_id), int(product_id), sku) for product_id, sku in on_sale),
    )


async def put_standing(tx: Transaction, *, cards: Iterable[Card]) -> None:
    """Write down whether products can be had and how many were sold. Cards are held."""
    rows = sorted((slot_of(card.product_id), int(card.product_id), card.is_available, card.sold) for card in cards)
    if rows:
        await tx.run(PUT_STANDING, standing=rows)


async def hear(tx: Transaction, *, words: Iterable[Word]) -> None:
    """Keep the newest word on each variant, whatever the order they come in. Cards are held."""
    newest: dict[tuple[str, str], tuple[bool, int]] = {}
    for product_id, sku, is_available, version in words:
        known = newest.get((product_id, sku))
        if known is None or known[1] < version:
            newest[product_id, sku] = is_available, version
    rows = sorted((slot_of(id_), int(id_), sku, False, *word) for (id_, sku), word in newest.items())
    if rows:
        await tx.run(HEAR, rows=rows)


async def available(tx: Transaction, *, product_ids: Collection[str]) -> set[str]:
    """The products of which some variant is on sale and can be had. Cards are held."""
    rows = await tx.all(AVAILABLE, products=_places(product_ids))
    return {str(row["product_id"]) for row in rows if row["is_available"]}


async def count_active(tx: Transaction) -> dict[str, int]:
    """Active products by the path of their category."""
    return {row["category"]: row["products"] for row in await tx.all(COUNT_ACTIVE)}


async def shown(reader: Reader, *, product_ids: Collection[str]) -> dict[str, Row]:
    return {str(row["product_id"]): row for row in await reader.all(SHOWN_CARDS, products=_places(product_ids))}


async def pictures(reader: Reader, *, product_ids: Collection[str]) -> dict[str, str]:
    """The first picture of products that have one, as JSON."""
    rows = await reader.all(PICTURES, products=_places(product_ids))
    return {str(row["product_id"]): row["picture"] for row in rows if row["picture"] is not None}


def _places(product_ids: Iterable[str]) -> list[tuple[int, int]]:
    return sorted({(slot_of(product_id), int(product_id)) for product_id in product_ids})
