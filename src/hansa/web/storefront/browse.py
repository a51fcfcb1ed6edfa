"""Departments and the search: the same list with filters, over what search knows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hansa.kernel import tags
from hansa.kernel.errors import Fault
from hansa.kernel.money import Money, decimals
from hansa.services.products.contract import NoSuchCategory, Product, Products
from hansa.services.search.contract import MOST_CHOSEN, Facet, Item, Picture, Results, Search, Sort
from hansa.web.pages import Book, Page
from hansa.web.storefront.shell import crumbs, sections
from hansa.web.visit import Shown, Visit

PAGE_SIZE = 24
SORTS: tuple[Sort, ...] = ("relevance", "newest", "price_up", "price_down")
ATTRIBUTE = "a."
"""What the names of fields that choose an attribute begin with."""
FIELDS = ("brand", "cursor", "from", "price", "sort", "stock", "to")
"""What a list reads of its address; within a category a text that is looked for comes on top."""
LONGEST_VALUE = 200
_AMOUNT = re.compile(r"^[0-9]{1,9}([.,][0-9]{1,3})?$(?!\n)")
_RANGE = re.compile(r"^([0-9]{1,12})-([0-9]{0,12})$(?!\n)")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a shopper looks for, as the address says it."""

    q: str
    category: str | None
    brands: tuple[str, ...]
    attributes: dict[str, tuple[str, ...]]
    price_min: int | None
    price_max: int | None
    in_stock: bool
    sort: Sort
    cursor: str | None

    @property
    def is_narrowed(self) -> bool:
        return bool(self.brands or self.attributes or self.in_stock) or self.has_price

    @property
    def has_price(self) -> bool:
        return self.price_min is not None or self.price_max is not None


@dataclass(frozen=True, kw_only=True)
class Chip:
    """Something that is chosen, and the address without it."""

    text: str
    address: str


def pages() -> Sequence[Page]:
    book = Book()

    @book.public("categories/{path:path}", fields=FIELDS, prefix=ATTRIBUTE)
    async def category(visit: Visit, *, path: str) -> Shown:
        tree = await sections(visit)
        trail = crumbs(tree, path)
        if tree and (not trail or trail[-1].path != path):
            raise NoSuchCategory(category=path)
        here = trail[-1] if trail else None
        return await _list(visit, tree, category=path, crumbs=trail[:-1], title=here.name if here else path)

    @book.public("search", fields=(*FIELDS, "q", "category"), prefix=ATTRIBUTE, is_free=True)
    async def search(visit: Visit) -> Shown:
        tree = await sections(visit)
        q = visit.query.get("q", "").strip()
        title = visit.say("browse.found_for", query=q[:LONGEST_VALUE]) if q else visit.say("browse.everything")
        return await _list(visit, tree, category=visit.query.get("category") or None, crumbs=[], title=title)

    @book.public("search/suggestions", fields=("q",), is_free=True)
    async def suggestions(visit: Visit) -> Shown:
        q = visit.query.get("q", "").strip()
        found = await visit.client(Search).suggest(q=q, locale=visit.locale, currency=visit.currency) if q else ()
        return Shown(
            template="storefront/fragments/suggestions.html", context={"suggestions": found}, tags=(tags.SEARCH,)
        )

    return book.pages


async def _list(visit: Visit, tree: Any, *, category: str | None, crumbs: Sequence[Any], title: str) -> Shown:
    asked = _asked(visit, category)
    results, is_whole = await _found(visit, asked)
    return Shown(
        template="storefront/browse.html",
        is_indexed=visit.path.startswith("categories/"),
        context={
            "sections": tree,
            "crumbs": crumbs,
            "title": title,
            "asked": asked,
            "results": results,
            "is_whole": is_whole,
            "facets": [facet for facet in results.facets if len(facet.values) > 1 or facet.lowest or _is_chosen(facet)],
            "chips": list(_chips(visit, asked)),
            "sorts": SORTS if asked.q else SORTS[1:],
            "field_of": lambda facet: "brand" if facet.kind == "brand" else f"{ATTRIBUTE}{facet.name}",
            "more": _address(visit, {"cursor": results.next_cursor}) if results.next_cursor else None,
            "first": _address(visit, {"cursor": None}) if asked.cursor else None,
            "cleared": visit.url(visit.path, q=asked.q),
            "plain": lambda amount: _plain(amount, visit.currency),
        },
        tags=(tags.SEARCH, tags.CATEGORIES, tags.PRODUCTS),
    )


def _is_chosen(facet: Facet) -> bool:
    return any(value.is_chosen for value in facet.values)


def _asked(visit: Visit, category: str | None) -> Asked:
    pairs = visit.request.query_params.multi_items()
    attributes: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        if name.startswith(ATTRIBUTE) and _is_value(name) and _is_value(value):
            known = attributes.get(name.removeprefix(ATTRIBUTE), ())
            attributes[name.removeprefix(ATTRIBUTE)] = (*known, value)[:MOST_CHOSEN]
    wanted = visit.query.get("sort", "relevance" if visit.query.get("q", "").strip() else "newest")
    low, high = _prices(visit)
    return Asked(
        q=visit.query.get("q", "").strip(),
        category=category,
        brands=tuple(value for name, value in pairs if name == "brand" and _is_value(value))[:MOST_CHOSEN],
        attributes=dict(list(attributes.items())[:MOST_CHOSEN]),
        price_min=low,
        price_max=high,
        in_stock=visit.query.get("stock") == "1",
        sort=next((sort for sort in SORTS if sort == wanted), "relevance"),
        cursor=visit.query.get("cursor") or None,
    )


def _is_value(text: str) -> bool:
    return 0 < len(text) <= LONGEST_VALUE


def _prices(visit: Visit) -> tuple[int | None, int | None]:
    """From one of the offered ranges (minor units), else from what was typed (in the currency's own unit)."""
    if match := _RANGE.match(visit.query.get("price", "")):
        return int(match[1]), int(match[2]) if match[2] else None

    def typed(name: str) -> int | None:
        text = visit.query.get(name, "").strip()
        if not _AMOUNT.match(text):
            return None
        return int(Decimal(text.replace(",", ".")).scaleb(decimals(visit.currency)))

    return typed("from"), typed("to")


async def _found(visit: Visit, asked: Asked) -> tuple[Results, bool]:
    """What search found; while search is away, the plain list of products, without filters."""
    price_list = visit.site.channel.price_list
    try:
        return await visit.client(Search).search(
            q=asked.q,
            locale=visit.locale,
            currency=visit.currency,
            price_list=price_list,
            category=asked.category,
            brands=asked.brands,
            attributes=asked.attributes,
            price_min=asked.price_min,
            price_max=asked.price_max,
            in_stock=asked.in_stock,
            sort=asked.sort,
            limit=PAGE_SIZE,
            cursor=asked.cursor,
        ), True
    except Fault:
        if asked.q:
            raise
    page = await visit.client(Products).list(
        locale=visit.locale,
        currency=visit.currency,
        price_list=price_list,
        category=asked.category,
        limit=PAGE_SIZE,
        cursor=asked.cursor,
    )
    items = tuple(_item(product) for product in page.items)
    return Results(items=items, total=len(items), next_cursor=page.next_cursor), False


def _item(product: Product) -> Item:
    prices = sorted(variant.price for variant in product.variants if variant.price is not None)
    image = product.images[0] if product.images else None
    return Item(
        id=product.id,
        slug=product.slug,
        name=product.name,
        brand=product.brand,
        category=product.category,
        image=Picture(url=image.url, alt=image.alt) if image else None,
        price_from=prices[0] if prices else None,
        price_to=prices[-1] if prices else None,
        tax_included=any(variant.tax_included for variant in product.variants),
        available=any(variant.available for variant in product.variants),
        options={},
    )


def _chips(visit: Visit, asked: Asked) -> Sequence[Chip]:
    chips = [Chip(text=brand, address=_without(visit, "brand", brand)) for brand in asked.brands]
    for name, values in asked.attributes.items():
        label = visit.say_or(f"option.{name}", visit.say_or(f"attribute.{name}", name.replace("_", " ").capitalize()))
        chips += [
            Chip(text=f"{label}: {visit.value(value)}", address=_without(visit, ATTRIBUTE + name, value))
            for value in values
        ]
    if asked.has_price:
        low = visit.money(Money(asked.price_min or 0, visit.currency))
        high = visit.money(Money(asked.price_max, visit.currency)) if asked.price_max is not None else "…"
        chips.append(Chip(text=f"{low} – {high}", address=_address(visit, {"price": None, "from": None, "to": None})))
    if asked.in_stock:
        chips.append(Chip(text=visit.say("browse.in_stock"), address=_address(visit, {"stock": None})))
    return chips


def _address(visit: Visit, changes: Mapping[str, str | None]) -> str:
    """This list with some fields changed (None: left out), from its beginning unless a cursor is among them."""
    changes = {"cursor": None, **changes}
    pairs = [(name, value) for name, value in visit.request.query_params.multi_items() if name not in changes]
    pairs += [(name, value) for name, value in changes.items() if value is not None]
    return visit.with_pairs(pairs)


def _without(visit: Visit, name: str, value: str) -> str:
    gone = (name, value)
    pairs = [pair for pair in visit.request.query_params.multi_items() if pair != gone and pair[0] != "cursor"]
    return visit.with_pairs(pairs)


def _plain(amount: int | None, currency: str) -> str:
    """Minor units as one types them."""
    if amount is None:
        return ""
    return f"{Decimal(amount).scaleb(-decimals(currency)).normalize():f}"
