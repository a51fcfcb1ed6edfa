"""What a file is read as: products ready to be put into the catalogue, and refusals that say what is wrong where."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from hansa.services.inventory.contract import OnHand
from hansa.services.products.contract import ProductDraft

LONGEST_IDENTIFIER = 200
LONGEST_REASON = 500
Stock = dict[str, OnHand]

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_PLACE = re.compile(r" - at `\$?\.?(?P<place>[^`]*)`$")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A product that is fit for the catalogue, and the pieces per sku that the file names (None: it names none)."""

    line: int
    """Where it begins in the file, from 1."""
    draft: ProductDraft
    stock: Stock | None = None
    size: int = 0
    """Bytes of the draft as JSON."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the file that is not taken: where it stands, what it seems to be, and why not."""

    line: int
    identifier: str
    reason: str
    is_of_row: bool = True
    """False where something of the header is not carried over."""


class _Stocked(msgspec.Struct):
    stock: Stock | None


def checked(*, line: int, facts: dict[str, Any], stock: Any = None) -> Row:
    """A row of plain values, held against the contract. Raises msgspec.ValidationError, which names the value."""
    draft = msgspec.convert(facts, ProductDraft)
    pieces = msgspec.convert({"stock": stock}, _Stocked).stock
    encoded = msgspec.json.encode(draft)
    if _NUL.search(encoded):
        raise msgspec.ValidationError("A text contains the character NUL, which databases do not take")
    skus = {variant.sku for variant in draft.variants}
    if len(skus) < len(draft.variants):
        raise msgspec.ValidationError("A sku stands twice in the product")
    for sku in pieces or ():
        if sku not in skus:
            raise msgspec.ValidationError(f"Stock is named for {sku}, which is no variant of the product")
    return Row(line=line, draft=draft, stock=pieces, size=len(encoded))


def refusal(line: int, identifier: object, error: Exception | str) -> Refusal:
    """A refusal with its reason in words: msgspec's errors begin with the place of the value instead of ending so."""
    text = str(error)
    if match := _PLACE.search(text):
        place = match["place"]
        text = text[: match.start()]
        text = f"{place}: {text}" if place else text
    name = identifier if isinstance(identifier, str) else ""
    return Refusal(line=line, identifier=name[:LONGEST_IDENTIFIER], reason=text[:LONGEST_REASON])


class Unique:
    """Passes rows on and refuses those whose slug or one of whose skus stood in the file before.

    Remembers 64-bit hashes with their lines, about 100 bytes each: a million variants take 100 MB.
    """

    def __init__(self) -> None:
        self._slugs: dict[int, int] = {}
        self._skus: dict[int, int] = {}

    def only(self, items: "Iterator[Row | Refusal]") -> "Iterator[Row | Refusal]":
        for item in items:
            yield self._first(item) if isinstance(item, Row) else item

    def _first(self, row: Row) -> Row | Refusal:
        slug = row.draft.slug
        skus = [variant.sku for variant in row.draft.variants]
        if (line := self._slugs.get(hash(slug))) is not None:
            return refusal(row.line, slug, f"the slug stands in line {line} already")
        for sku in skus:
            if (line := self._skus.get(hash(sku))) is not None:
                return refusal(row.line, slug, f"the sku {sku} stands in line {line} already")
        self._slugs[hash(slug)] = row.line
        self._skus.update((hash(sku), row.line) for sku in skus)
        return row
