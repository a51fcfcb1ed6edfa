"""In which order results stand when they are not ranked, and where a page begins, with no two products at one place.

A price's key holds the price and, for products of one price, 23 bits of the product's id: in the index it is one
number, so that a page can begin at it. Where even those bits are equal (one pair in 8 million), the cursor counts how
many of the same key were shown.
"""

import hashlib

import msgspec

from hansa.kernel.ids import LARGEST
from hansa.services.search.contract import Sort

PRICE_BITS = 40
"""Enough for every price (10^12)."""
ID_BITS = 23
_WITHOUT_PRICE = (1 << PRICE_BITS) - 1
_SPREAD = 0x9E3779B97F4A7C15
"""An odd number that spreads ids over the bits that are kept (2^64 divided by the golden ratio)."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What is chosen besides words."""

    category: str | None = None
    brands: tuple[str, ...] = ()
    attributes: dict[str, tuple[str, ...]] = {}
    price_min: int | None = None
    price_max: int | None = None
    in_stock: bool = False

    @property
    def bounds_price(self) -> bool:
        return self.price_min is not None or self.price_max is not None


def rising_key(amount: int | None, *, product_id: int) -> int:
    """Where a product stands when the cheapest comes first; those without a price come last."""
    return (_WITHOUT_PRICE if amount is None else amount) << ID_BITS | _bits(product_id)


def falling_key(amount: int | None, *, product_id: int) -> int:
    """Where a product stands, from the end, when the dearest comes first; those without a price come last."""
    return (0 if amount is None else amount + 1) << ID_BITS | _bits(product_id)


def newest_key(product_id: int, *, is_priced: bool) -> int:
    """Where a product stands, from the end, when the newest comes first; those without a price come last.

    The last bit of the id makes room for the price, so that the key is no longer than an id.
    """
    return product_id >> 1 | is_priced << (LARGEST.bit_length() - 1)


def _bits(product_id: int) -> int:
    return (product_id * _SPREAD & (1 << 64) - 1) >> (64 - ID_BITS)


def fingerprint(*, q: str, locale: str, currency: str, choice: Choice, sort: Sort) -> str:
    """What a cursor is bound to: it belongs to one list."""
    packed = msgspec.json.encode([q, locale, currency, choice, sort], order="deterministic")
    return hashlib.blake2b(packed, digest_size=9).hexdigest()
