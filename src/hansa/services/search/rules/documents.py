"""What a product is found by, what it can be narrowed by, and what a list shows of it: all from its record."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from sys import intern
from typing import Any, TypeVar

import msgspec

from hansa.kernel.channel import MAIN
from hansa.kernel.money import Money
from hansa.services.products.contract import AttributeValue, ImageDraft, PriceDraft, ProductDraft
from hansa.services.search.contract import Item, Picture
from hansa.services.search.rules.kinds import TYPE_NAMES, kinds_of
from hansa.services.search.rules.words import LONGEST_WORD, han_grams, is_measure, plain_words, stem, surfaces

T = TypeVar("T")

MOST_CHOICES = 40
"""Attributes of a product that may be chosen in a facet: the first in the order in which they are stated, texts before
numbers before yes-or-no."""
LONGEST_CHOICE = 40
"""Characters of a value that can be chosen; longer ones are sentences."""
SHORTEST_CODE = 4
SEPARATOR = "/"
_UNOFFERED = re.compile(
    r"\b(packag\w*|pallet|master|quantity|weight|width|height|depth|dimensions?|temperature|humidity|certific\w*|code"
    r"|rohs|model|released|compatib\w*|country|id|change|number|transistors|stepping|sustainability|warranty)\b",
    re.IGNORECASE,
)
"""Attributes by which nobody narrows a search: how things are packed, and what is different for each of them."""
_ONLY_FIGURES = re.compile(r"[\d\s.,x×*/()+~-]*", re.IGNORECASE)
_APART = " | "
"""Between texts, so that the end of one and the beginning of the next are not read as one."""
_DIGIT = re.compile("[0-9]")
_RUN = re.compile(r"[a-z0-9]+")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A product as the index keeps it. Texts are stems with spaces between them."""

    product_id: int
    name: str
    """Names in all languages."""
    about: str
    """Brand, categories and options."""
    more: str
    """Attributes and descriptions, not stemmed yet."""
    han: tuple[str, ...]
    """The Chinese signs of names and categories, alone and in pairs."""
    words: tuple[str, ...]
    """The words of name, brand and categories as people write them, for corrections and suggestions."""
    kinds: frozenset[str]
    heads: frozenset[str]
    codes: frozenset[str]
    """Skus, GTINs and model numbers, letters and digits only."""
    categories: dict[str, dict[str, str]]
    """By path, from the root down: the names by language."""
    brand: str | None
    options: tuple[tuple[str, str], ...]
    """Names and values of its variants' options, which can always be chosen."""
    attributes: tuple[tuple[str, str], ...]
    """Names and values of attributes that may be chosen."""
    prices: dict[str, int]
    """The lowest price by currency, in minor units."""
    is_available: bool
    stamp: int
    """What the tables held when this was read from them, in 64 bits (see store.stamp_of)."""


class ShownText(msgspec.Struct, frozen=True):
    """Of a text what a list shows."""

    name: str


class ShownLevel(msgspec.Struct, frozen=True):
    """Of a category what a list needs."""

    slug: str


class ShownVariant(msgspec.Struct, frozen=True):
    """Of a variant what a list needs."""

    sku: str
    options: dict[str, str] = {}
    prices: tuple[PriceDraft, ...] = ()


class Shown(msgspec.Struct, frozen=True):
    """Of a ProductDraft in JSON what a list needs: read several times faster than the whole."""

    slug: str
    texts: dict[str, ShownText]
    variants: tuple[ShownVariant, ...]
    category: tuple[ShownLevel, ...] = ()
    brand: str | None = None
    images: tuple[ImageDraft, ...] = ()


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The lowest and highest price among the variants of a product."""

    lowest: int
    highest: int
    tax_included: bool


def entry(
    *,
    product_id: str,
    draft: ProductDraft,
    available: frozenset[str],
    now: datetime,
    price_list: str = MAIN,
    stamp: int = 0,
) -> Entry:
    """What the index keeps of a product; `available` are the skus that can be had. Without a stamp it is not compared
    with tables."""
    categories = _categories(draft)
    of_levels = [tuple(labels.values()) for labels in categories.values()]
    types = (str(value) for name, value in draft.attributes.items() if _says_type(name, value))
    kinds, heads = kinds_of((*(of_levels[-1] if of_levels else ()), *types))
    above, _ = kinds_of(tuple(name for names in of_levels[:-1] for name in names))
    options = {option for variant in draft.variants for option in variant.options.items()}
    named = surfaces(_APART.join(text.name for text in draft.texts.values()))
    placed = _words((draft.brand or "", *(name for names in of_levels for name in names)))
    words = tuple(dict.fromkeys((*named, *placed)))
    return Entry(
        product_id=int(product_id),
        name=" ".join(map(stem, named)),
        about=" ".join(map(stem, (*placed, *_words(tuple(sorted({value for _, value in options})))))),
        more=plain_words(
            _APART.join([*_facts(draft.attributes), *(text.description for text in draft.texts.values())])
        ),
        han=han_grams(
            _APART.join(
                [*(text.name for text in draft.texts.values()), *(name for names in of_levels for name in names)]
            )
        ),
        words=words,
        kinds=kinds,
        heads=(heads | above) - kinds,
        codes=frozenset(_codes(draft, words)),
        categories=categories,
        brand=draft.brand or None,
        options=tuple(sorted(options)),
        attributes=choices(draft.attributes),
        prices={
            currency: span.lowest
            for currency in dict.fromkeys(price.currency for variant in draft.variants for price in variant.prices)
            if (span := price_span(draft, currency=currency, price_list=price_list, now=now)) is not None
        },
        is_available=any(variant.sku in available for variant in draft.variants),
        stamp=stamp,
    )


def item(
    *,
    product_id: str,
    draft: Shown,
    available: frozenset[str],
    locale: str,
    default_locale: str,
    currency: str,
    price_list: str,
    now: datetime,
) -> Item:
    """A product as a list shows it."""
    languages = (locale, locale.partition("-")[0], default_locale)
    text = in_language(draft.texts, languages)
    span = price_span(draft, currency=currency, price_list=price_list, now=now)
    image = draft.images[0] if draft.images else None
    lowest = Money(span.lowest, currency) if span else None
    # Thousands of items are remembered: what many have in common is one text.
    return Item(
        id=product_id,
        slug=draft.slug,
        name=text.name if text else draft.slug,
        brand=intern(draft.brand) if draft.brand is not None else None,
        category=intern(leaf_of(draft)) or None,
        image=Picture(url=image.url, alt=in_language(image.alt, languages) or "") if image else None,
        price_from=lowest,
        price_to=Money(span.highest, currency) if span and span.highest != span.lowest else lowest,
        tax_included=span.tax_included if span else False,
        available=any(variant.sku in available for variant in draft.variants),
        options={
            name: len({variant.options[name] for variant in draft.variants if name in variant.options})
            for name in dict.fromkeys(name for variant in draft.variants for name in variant.options)
        },
    )


def in_language(texts: Mapping[str, T], languages: Iterable[str]) -> T | None:
    """The text in the first of some languages that there is, else in the first by name; None if there is none."""
    for language in languages:
        if language in texts:
            return texts[language]
    return texts[min(texts)] if texts else None


# Prices


def price_span(draft: ProductDraft | Shown, *, currency: str, price_list: str, now: datetime) -> Span | None:
    """The present prices of a product's variants for one piece; None if it has none in the currency."""
    found = [
        price
        for variant in draft.variants
        if (price := _present_price(variant.prices, currency=currency, price_list=price_list, now=now)) is not None
    ]
    if not found:
        return None
    lowest = min(found, key=lambda price: price.amount)
    return Span(lowest=lowest.amount, highest=max(price.amount for price in found), tax_included=lowest.tax_included)


def next_price_change(draft: ProductDraft, *, now: datetime) -> datetime | None:
    """When a price of a product begins or ends next."""
    moments = (
        moment
        for variant in draft.variants
        for price in variant.prices
        for moment in (price.valid_from, price.valid_to)
        if moment is not None and moment > now
    )
    return min(moments, default=None)


def _present_price(prices: Iterable[PriceDraft], *, currency: str, price_list: str, now: datetime) -> PriceDraft | None:
    """The price that began last; one without a beginning simply holds, below those that have begun."""
    found: PriceDraft | None = None
    for price in prices:
        is_meant = price.currency == currency and price.price_list == price_list and price.minimum_quantity == 1
        has_begun = price.valid_from is None or price.valid_from <= now
        if is_meant and has_begun and (price.valid_to is None or price.valid_to > now) and _outdoes(price, found):
            found = price
    return found


def _outdoes(price: PriceDraft, other: PriceDraft | None) -> bool:
    if other is None or other.valid_from is None:
        return True
    return price.valid_from is not None and price.valid_from >= other.valid_from


# Words


@lru_cache(maxsize=2_048)
def _words(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The words of what many products share."""
    return tuple(surfaces(_APART.join(texts)))


def _categories(draft: ProductDraft) -> dict[str, dict[str, str]]:
    categories: dict[str, dict[str, str]] = {}
    slugs: list[str] = []
    for level in draft.category:
        slugs.append(level.slug)
        categories[SEPARATOR.join(slugs)] = dict(level.names) or {"en": level.slug.replace("-", " ")}
    return categories


def leaf_of(draft: ProductDraft | Shown) -> str:
    """The path of a product's category; empty without one."""
    return SEPARATOR.join(level.slug for level in draft.category)


def _says_type(name: str, value: AttributeValue) -> bool:
    return name.casefold() in TYPE_NAMES and isinstance(value, str) and not _ONLY_FIGURES.fullmatch(value)


def _facts(attributes: Mapping[str, AttributeValue]) -> Iterator[str]:
    """Values in words, and the names of what a product simply has."""
    for name, value in attributes.items():
        if value is True:
            yield name
        elif isinstance(value, str) and not _ONLY_FIGURES.fullmatch(value):
            yield value


def choices(attributes: Mapping[str, AttributeValue]) -> tuple[tuple[str, str], ...]:
    """Names and values by which somebody might narrow a search."""
    offered = [(name, value) for name, value in attributes.items() if _is_offered(name)]
    texts = [(name, text) for name, value in offered if isinstance(value, str) and (text := _choice(value))]
    numbers = [(name, _figure(value)) for name, value in offered if _is_number(value)]
    flags = [(name, "true") for name, value in offered if value is True]
    return tuple((texts + numbers + flags)[:MOST_CHOICES])


@lru_cache(maxsize=4_096)
def _is_offered(name: str) -> bool:
    return _UNOFFERED.search(name) is None


def _choice(value: str) -> str | None:
    text = " ".join(value.split())
    return text if 0 < len(text) <= LONGEST_CHOICE else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _figure(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


# Codes


def code_of(text: str) -> str:
    """A code without the signs between its letters and digits, in lower case."""
    return "".join(_RUN.findall(text.lower()))[:LONGEST_WORD]


def is_code(text: str) -> bool:
    """Whether a word may be a model number, a sku or a GTIN: it has a digit and is not short."""
    return len(text) >= SHORTEST_CODE and _DIGIT.search(text) is not None and not is_measure(text)


def _codes(draft: ProductDraft, words: Iterable[str]) -> Iterator[str]:
    for variant in draft.variants:
        yield code_of(variant.sku)
        if variant.gtin:
            yield variant.gtin
            yield variant.gtin.lstrip("0")
    for value in draft.attributes.values():
        if isinstance(value, str) and len(value) <= LONGEST_WORD and " " not in value and is_code(value):
            yield code_of(value)
    yield from filter(is_code, words)
