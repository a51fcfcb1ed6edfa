"""Icecat: products with their real attributes, in US dollars without tax; pictures, on another host, are left where
they are.

Product data (c) Icecat, Open Content License: attribution to Icecat is required wherever it is shown or shipped.
"""

import html
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec

from hansa.imports.categories import Categories
from hansa.imports.lines import Line
from hansa.imports.rows import Refusal, Row, checked, refusal

CURRENCY = "USD"
LONGEST_SLUG_WORDS = 80
LONGEST_VALUE = 2_000
MOST_ATTRIBUTES = 500
HEAVIEST_GRAMS = 2_000_000
LARGEST_MM = 10_000
"""Weights and sizes beyond these bounds, or below 1, are not believed."""

GTIN_LENGTHS = (8, 12, 13, 14)
COUNTRIES = {
    "Australia": "AU", "Austria": "AT", "Belgium": "BE", "Brazil": "BR", "Canada": "CA", "China": "CN",
    "Czech Republic": "CZ", "Denmark": "DK", "Finland": "FI", "France": "FR", "Germany": "DE", "Hong Kong": "HK",
    "Hungary": "HU", "India": "IN", "Indonesia": "ID", "Ireland": "IE", "Israel": "IL", "Italy": "IT", "Japan": "JP",
    "Malaysia": "MY", "Mexico": "MX", "Netherlands": "NL", "Philippines": "PH", "Poland": "PL", "Portugal": "PT",
    "Puerto Rico": "PR", "Romania": "RO", "Serbia": "RS", "Singapore": "SG", "Slovakia": "SK", "Slovenia": "SI",
    "South Korea": "KR", "Spain": "ES", "Sweden": "SE", "Switzerland": "CH", "Taiwan": "TW", "Thailand": "TH",
    "Turkey": "TR", "United Kingdom": "GB", "United States": "US", "Vietnam": "VN",
}  # fmt: skip
"""Icecat's names of countries in ISO 3166-1."""

_Text = str | msgspec.UnsetType


class _Product(msgspec.Struct, frozen=True):
    """The fields without which there is no product; msgspec checks their types."""

    id: str
    name: str
    title: str
    price: int
    supplier: str = ""
    ean: list[str] = []
    short_description: str = ""
    date_released: str = ""


_OBJECT = msgspec.json.Decoder(dict[str, Any])
_ID = re.compile(r"[0-9]{1,18}")
_DASHES = re.compile(r"[^a-z0-9]+")
_HS_CODE = re.compile(r"[0-9]{6,10}")
_ADDRESS = "://"
_UNITS = {" t t": " (°C)", " h h": " (%)", " wxdxh": " (W x D x H)", " w x d x h": " (W x D x H)"}
_CAPITALS = frozenset({
    "ac", "ark", "awg", "cpu", "dc", "dvi", "eu", "fsb", "gb", "hd", "hdd", "hdmi", "hp", "iso", "lan", "lcd",
    "led", "mtbf", "oem", "pc", "pci", "ps2", "ram", "rj", "rms", "rohs", "sd", "ssd", "tdp", "tft", "tv", "uk",
    "ups", "usb", "vesa", "vga",
})  # fmt: skip


def read_icecat(lines: Iterator[Line]) -> Iterator[Row | Refusal]:
    """The products of a file, in order."""
    categories = Categories()
    for line in lines:
        if line.fault:
            yield refusal(line.number, "", line.fault)
        elif not line.is_blank:
            yield _read(line, categories)


def _read(line: Line, categories: Categories) -> Row | Refusal:
    try:
        values = _OBJECT.decode(line.text)
    except (msgspec.MsgspecError, RecursionError) as error:
        return refusal(line.number, "", error)
    try:
        product = msgspec.convert(values, _Product)
        return checked(line=line.number, facts=_facts(product, values, categories))
    except msgspec.MsgspecError as error:
        return refusal(line.number, values.get("id"), error)


def _facts(product: _Product, values: dict[str, Any], categories: Categories) -> dict[str, Any]:
    if not _ID.fullmatch(product.id):
        raise msgspec.ValidationError("id: Expected digits")
    if product.price <= 0:
        raise msgspec.ValidationError("price: Expected cents, more than 0")
    return {
        "slug": slug_of(product.title, product.id),
        "texts": {
            "en": {"name": _clean(product.title or product.name), "description": _clean(product.short_description)}
        },
        "brand": product.supplier or None,
        "category": categories.of(values),
        "attributes": _attributes(product, values),
        "variants": [_variant(product, values)],
    }


def _variant(product: _Product, values: dict[str, Any]) -> dict[str, Any]:
    return {
        "sku": f"ICE-{product.id}",
        "prices": [{"amount": product.price, "currency": CURRENCY, "tax_included": False}],
        "gtin": next((ean for ean in product.ean if is_gtin(ean)), None),
        "weight_grams": _believable(values.get("attr_n_weight"), HEAVIEST_GRAMS)
        or _believable(values.get("attr_n_package_weight"), HEAVIEST_GRAMS),
        "width_mm": _believable(values.get("attr_n_width"), LARGEST_MM),
        "height_mm": _believable(values.get("attr_n_height"), LARGEST_MM),
        "depth_mm": _believable(values.get("attr_n_depth"), LARGEST_MM),
        "country_of_origin": COUNTRIES.get(str(values.get("attr_t_country_of_origin"))),
        "hs_code": _hs_code(values.get("attr_t_harmonized_system__hs__code")),
    }


def slug_of(title: str, identifier: str) -> str:
    """The title in letters a-z and digits, with the id that makes it unique: `hp-pavilion-dv7-2101957`."""
    plain = unicodedata.normalize("NFKD", html.unescape(title)).encode("ascii", "ignore").decode().lower()
    words = _DASHES.sub("-", plain).strip("-")
    if len(words) > LONGEST_SLUG_WORDS:
        words = words[: LONGEST_SLUG_WORDS + 1].rpartition("-")[0] or words[:LONGEST_SLUG_WORDS]
    return f"{words}-{identifier}" if words else identifier


def is_gtin(code: str) -> bool:
    """Whether a code has the length and the check digit of a GTIN (GS1 General Specifications, 7.9)."""
    if len(code) not in GTIN_LENGTHS or not (code.isascii() and code.isdigit()):
        return False
    weighted = (int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(code[:-1])))
    return (10 - sum(weighted) % 10) % 10 == int(code[-1])


def _attributes(product: _Product, values: dict[str, Any]) -> dict[str, str | bool | int | float]:
    """Every attribute under a readable name with its own value; those that hold addresses are left out."""
    attributes: dict[str, str | bool | int | float] = {"Model": _clean(product.name)}
    if product.date_released:
        attributes["Released"] = product.date_released.partition("T")[0]
    for key, value in values.items():
        if not key.startswith("attr_") or len(attributes) == MOST_ATTRIBUTES:
            continue
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        elif isinstance(value, str):
            if _ADDRESS in value:
                continue
            value = _clean(value)[:LONGEST_VALUE]
        name = readable(key)
        attributes[name if name not in attributes else f"{name} (2)"] = value
    return attributes


@lru_cache(maxsize=8_192)
def readable(key: str) -> str:
    """`attr_t_operating_temperature__t_t_` as `Operating temperature (°C)`."""
    stem = key.split("_", 2)[-1]
    name, _, rest = stem.rstrip("_").partition("__")
    name = name.replace("_", " ")
    if rest:
        inside = " ".join(rest.replace("_", " ").split())
        name += _UNITS.get(f" {inside}", f" ({inside})")
    words = [word.upper() if word in _CAPITALS else word for word in name.split()]
    text = " ".join(words)
    return text[:1].upper() + text[1:] if text else key


def _clean(text: str) -> str:
    """Icecat's texts contain HTML entities now and then."""
    return (html.unescape(text) if "&" in text else text).strip()


def _believable(value: object, largest: int) -> int | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value <= largest:
        return None
    return round(value)


def _hs_code(value: object) -> str | None:
    digits = value.replace(".", "") if isinstance(value, str) else ""
    return digits if _HS_CODE.fullmatch(digits) else None
