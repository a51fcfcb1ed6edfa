"""The columns a CSV file of products may have (docs/import.md), and how a cell of each is read."""

import math
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from hansa.imports.cells import unguarded
from hansa.kernel.money import decimals

SEPARATOR = "/"
ALT_SEPARATOR = "|"
ESCAPE = "\\"
"""Before a separator or another escape that belongs to a name."""
DEFAULT_LOCALE = "en"

_PRODUCT = ("slug", "status", "brand", "category", "image")
_VARIANT = ("sku", "gtin", "hs_code", "country_of_origin", "tax_class", "unit", "hazard")
_NUMBERS = ("weight_grams", "width_mm", "height_mm", "depth_mm", "age_limit", "stock")
_LOCALE = "[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*"
_PATTERNS = (
    re.compile(rf"(?P<kind>name|description|category|image_alt)_(?P<key>{_LOCALE})"),
    re.compile(r"(?P<kind>price|tax_included)_(?P<key>[A-Z]{3})"),
    re.compile(r"(?P<kind>option|attribute|attribute_number|attribute_yes_no):(?P<key>.+)", re.DOTALL),
)
_OF_PRODUCT = frozenset(
    (*_PRODUCT, "name", "description", "image_alt", "attribute", "attribute_number", "attribute_yes_no")
)
_WHOLE = re.compile(r"[0-9]{1,12}")
_NUMBER = re.compile(r"-?[0-9]{1,400}(?P<part>(?:\.[0-9]{1,400})?(?:[eE][+-]?[0-9]{1,4})?)")
_DECIMAL = re.compile(r"(?P<whole>[0-9]{1,12})(?:\.(?P<part>[0-9]{1,9}))?")
_TRUTHS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": False}


class CellInvalid(ValueError):
    """A cell cannot be what its column says; the text names the column."""


class Column(msgspec.Struct, frozen=True):
    """A known column: `kind` says what it holds, `key` which one (a locale, a currency, a name)."""

    title: str
    kind: str
    key: str = ""

    @property
    def is_of_product(self) -> bool:
        return self.kind in _OF_PRODUCT


class Cells(msgspec.Struct, frozen=True):
    """The cells of one record that are not empty, those of the product and those of the variant apart."""

    product: dict[Column, str]
    variant: dict[Column, str]


def column_of(title: str) -> Column | None:
    """The column of a title, or None for one that means nothing here."""
    if title in _PRODUCT or title in _VARIANT or title in _NUMBERS:
        return Column(title, title)
    for pattern in _PATTERNS:
        if match := pattern.fullmatch(title):
            return Column(title, match["kind"], match["key"].strip())
    return None


def cells_of(columns: Sequence[Column | None], record: Sequence[str]) -> Cells:
    """Sort the cells of a record. Raises CellInvalid if it has more cells than there are columns."""
    if len(record) > len(columns):
        raise CellInvalid(f"the row has {len(record)} cells, the header {len(columns)}")
    cells = Cells({}, {})
    for column, text in zip(columns, record, strict=False):
        if column is not None and (value := unguarded(text.strip())):
            (cells.product if column.is_of_product else cells.variant)[column] = value
    return cells


def product_facts(cells: dict[Column, str]) -> dict[str, Any]:
    """The values of a product without its variants, in the shape of a ProductDraft."""
    facts: dict[str, Any] = {"texts": {}, "attributes": {}}
    names: dict[str, str] = {}
    alts: dict[str, list[str]] = {}
    for column, text in cells.items():
        match column.kind:
            case "name" | "description":
                facts["texts"].setdefault(column.key, {})[column.kind] = text
            case "attribute":
                facts["attributes"][column.key] = text
            case "attribute_number":
                facts["attributes"][column.key] = _number(column, text)
            case "attribute_yes_no":
                facts["attributes"][column.key] = _truth(column, text)
            case "image_alt":
                alts[column.key] = split_path(text, separator=ALT_SEPARATOR)
            case "category" if column.key:
                names[column.key] = text
            case "category" | "image":
                pass
            case kind:
                facts[kind] = text
    by_kind = {column.title: text for column, text in cells.items()}
    facts["category"] = _category(by_kind.get("category", ""), names)
    facts["images"] = [
        {"url": url, "alt": {locale: said[place] for locale, said in alts.items() if any(said[place : place + 1])}}
        for place, url in enumerate(by_kind.get("image", "").split())
    ]
    return facts


def variant_facts(cells: dict[Column, str]) -> tuple[dict[str, Any], int | None]:
    """The values of a variant, in the shape of a VariantDraft, and its pieces in stock (None: not said)."""
    facts: dict[str, Any] = {"options": {}}
    prices: dict[str, str] = {}
    included: dict[str, bool] = {}
    stock: int | None = None
    for column, text in cells.items():
        match column.kind:
            case "price":
                prices[column.key] = text
            case "tax_included":
                included[column.key] = _truth(column, text)
            case "option":
                facts["options"][column.key] = text
            case "stock":
                stock = _whole(column, text)
            case kind if kind in _NUMBERS:
                facts[kind] = _whole(column, text)
            case kind:
                facts[kind] = text
    facts["prices"] = [
        {"amount": _minor(text, currency), "currency": currency, "tax_included": included.get(currency, False)}
        for currency, text in prices.items()
    ]
    return facts, stock


def _category(path: str, names: dict[str, str]) -> list[dict[str, Any]]:
    slugs = [slug.strip() for slug in path.split(SEPARATOR)] if path else []
    split = {locale: split_path(text) for locale, text in names.items()}
    for locale, parts in split.items():
        if len(parts) != len(slugs):
            raise CellInvalid(f"category_{locale} has {len(parts)} parts, category has {len(slugs)}")
    return [
        {
            "slug": slug,
            "names": {locale: parts[level] for locale, parts in split.items() if parts[level]}
            or {DEFAULT_LOCALE: slug.replace("-", " ").capitalize()},
        }
        for level, slug in enumerate(slugs)
    ]


def split_path(text: str, *, separator: str = SEPARATOR) -> list[str]:
    """The names along a path; an escape keeps the separator behind it in the name."""
    names = [""]
    characters = iter(text)
    for character in characters:
        if character == separator:
            names.append("")
        else:
            names[-1] += next(characters, ESCAPE) if character == ESCAPE else character
    return [name.strip() for name in names]


def joined_path(names: Sequence[str], *, separator: str = SEPARATOR) -> str:
    """The path of names, so that `split_path` gives them back."""
    escaped = (name.replace(ESCAPE, ESCAPE * 2).replace(separator, ESCAPE + separator) for name in names)
    return separator.join(escaped)


def _number(column: Column, text: str) -> int | float:
    match = _NUMBER.fullmatch(text)
    number = None if match is None else float(text) if match["part"] else int(text)
    if number is None or math.isinf(number):
        raise CellInvalid(f"{column.title} must be a number, not {text[:40]!r}")
    return number


def _whole(column: Column, text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise CellInvalid(f"{column.title} must be a whole number, not {text[:40]!r}")
    return int(text)


def _truth(column: Column, text: str) -> bool:
    if text.lower() not in _TRUTHS:
        raise CellInvalid(f"{column.title} must be yes or no, not {text[:40]!r}")
    return _TRUTHS[text.lower()]


def _minor(text: str, currency: str) -> int:
    digits = decimals(currency)
    match = _DECIMAL.fullmatch(text)
    part = (match["part"] or "").rstrip("0") if match else ""
    if match is None or len(part) > digits:
        raise CellInvalid(f"price_{currency} must be a number with at most {digits} decimals, not {text[:40]!r}")
    return int(match["whole"] + part.ljust(digits, "0"))
