"""The list of all products as staff look through it: found by words, status and category, in three orders."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, func, or_, select

from hansa.kernel.ids import LARGEST
from hansa.platform.database.port import Reader, Row
from hansa.platform.database.statement import Statement
from hansa.platform.database.tables import COUNT, ID, TEXT
from hansa.services.products.contract import Sorting
from hansa.services.products.store.showing import best_locale
from hansa.services.products.tables import PRODUCT_TEXTS, PRODUCTS, VARIANTS

_ESCAPE = "!"
_WORDS = bindparam("words", type_=TEXT)
_LOWERED = bindparam("lowered", type_=TEXT)
_STATUS = bindparam("status", type_=TEXT)
_CATEGORY = bindparam("category", type_=TEXT)


def _holds(column: ColumnElement[str]) -> ColumnElement[bool]:
    """Engines differ in which letters they can make small: so the words count as they are, too."""
    return or_(column.like(_WORDS, escape=_ESCAPE), func.lower(column).like(_LOWERED, escape=_ESCAPE))


def _some(table: Any, column: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether any row of the product has the words in a column."""
    same = and_(table.c.slot == PRODUCTS.c.slot, table.c.product_id == PRODUCTS.c.product_id)
    return select(table.c.slot).where(same, _holds(column)).correlate(PRODUCTS).exists()


_WANTED = (
    or_(
        _WORDS == "",
        _holds(PRODUCTS.c.slug),
        _some(PRODUCT_TEXTS, PRODUCT_TEXTS.c.name),
        _some(VARIANTS, VARIANTS.c.sku),
    ),
    or_(_STATUS == "", PRODUCTS.c.status == _STATUS),
    or_(
        _CATEGORY == "",
        PRODUCTS.c.category == _CATEGORY,
        PRODUCTS.c.category.like(bindparam("below", type_=TEXT), escape=_ESCAPE),
    ),
)


def _page(position: ColumnElement[bool], order: ColumnElement[Any]) -> Statement:
    """The page is cut before its texts are joined."""
    page = select(PRODUCTS).where(position, *_WANTED).order_by(order).limit(bindparam("limit", type_=COUNT))
    cut = page.cte("page")
    name = (
        select(PRODUCT_TEXTS.c.name)
        .where(
            PRODUCT_TEXTS.c.slot == cut.c.slot,
            PRODUCT_TEXTS.c.product_id == cut.c.product_id,
            PRODUCT_TEXTS.c.locale == best_locale(cut),
        )
        .scalar_subquery()
    )
    return Statement(select(cut, name.label("name")))


PAGES: dict[Sorting, Statement] = {
    "newest": _page(PRODUCTS.c.product_id < bindparam("position", type_=ID), PRODUCTS.c.product_id.desc()),
    "oldest": _page(PRODUCTS.c.product_id > bindparam("position", type_=ID), PRODUCTS.c.product_id),
    "slug": _page(PRODUCTS.c.slug > bindparam("position", type_=TEXT), PRODUCTS.c.slug),
}
BEGINNINGS: dict[Sorting, int | str] = {"newest": LARGEST, "oldest": 0, "slug": ""}
"""Positions before the first product of an order."""


async def page(
    reader: Reader,
    *,
    q: str,
    status: str,
    category: str,
    order: Sorting,
    position: int | str,
    limit: int,
    languages: tuple[str, str, str],
) -> Sequence[Row]:
    """The next products behind a position of an order; empty conditions are none."""
    words = f"%{_escaped(q)}%" if q else ""
    exact, language, default = languages
    rows = await reader.all(
        PAGES[order],
        words=words,
        lowered=words.lower(),
        status=status,
        category=category,
        below=f"{_escaped(category)}/%",
        position=position,
        limit=limit,
        exact=exact,
        language=language,
        default=default,
    )
    return sorted(rows, key=lambda row: _place(row, order), reverse=order == "newest")


def _place(row: Row, order: Sorting) -> int | str:
    place: int | str = row["slug" if order == "slug" else "product_id"]
    return place


def _escaped(text: str) -> str:
    for special in (_ESCAPE, "%", "_"):
        text = text.replace(special, _ESCAPE + special)
    return text
