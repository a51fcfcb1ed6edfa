"""JSON Lines: each line is a product as the catalogue's contract describes it, and may name pieces per sku."""

from collections.abc import Iterator
from typing import Any

import msgspec

from hansa.imports.lines import Line
from hansa.imports.rows import Refusal, Row, checked, refusal
from hansa.services.products.contract import ProductDraft

_OBJECT = msgspec.json.Decoder(dict[str, Any])
_FIELDS = frozenset(ProductDraft.__struct_fields__)
_STOCK = "stock"


def read_json_lines(lines: Iterator[Line]) -> Iterator[Row | Refusal]:
    """The products of a file, in order."""
    for line in lines:
        if line.fault:
            yield refusal(line.number, "", line.fault)
        elif not line.is_blank:
            yield _read(line)


def _read(line: Line) -> Row | Refusal:
    try:
        values = _OBJECT.decode(line.text)
    except (msgspec.MsgspecError, RecursionError) as error:
        return refusal(line.number, "", error)
    stock = values.pop(_STOCK, None)
    unknown = sorted(values.keys() - _FIELDS)
    if unknown:
        return refusal(line.number, values.get("slug"), f"there is no field {unknown[0]!r}")
    try:
        return checked(line=line.number, facts=values, stock=stock)
    except msgspec.MsgspecError as error:
        return refusal(line.number, values.get("slug"), error)
