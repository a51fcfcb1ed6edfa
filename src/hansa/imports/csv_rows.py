"""CSV: one row a variant; rows with the same slug that follow each other are one product."""

import csv
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from hansa.imports.csv_columns import CellInvalid, Cells, Column, cells_of, column_of, product_facts, variant_facts
from hansa.imports.lines import Line
from hansa.imports.rows import Refusal, Row, checked, refusal

MOST_VARIANTS = 200
DELIMITERS = (",", ";", "\t")
_QUOTED = re.compile('"[^"]*"')
_VARIANT_PLACE = re.compile(r"^variants\[(?P<index>[0-9]+)\]")
_NO_NAME = "a product needs a name: there is no column such as name_en"


class _Record(msgspec.Struct):
    line: int
    cells: list[str]
    fault: str = ""


class _Group:
    """The rows of one product, as far as they were read."""

    def __init__(self, slug: str, first: _Record) -> None:
        self.slug = slug
        self.line = first.line
        self.product: dict[Column, str] = {}
        self.lines: list[int] = []
        self.variants: list[dict[str, Any]] = []
        self.stock: dict[str, int] = {}
        self.refusals: list[Refusal] = []

    def add(self, line: int, cells: Cells) -> None:
        if len(self.lines) == MOST_VARIANTS:
            raise CellInvalid(f"a product has at most {MOST_VARIANTS} variants")
        self.lines.append(line)
        for column, text in cells.product.items():
            if self.product.setdefault(column, text) != text:
                raise CellInvalid(f"{column.title} differs from that in line {self.line}")
        facts, stock = variant_facts(cells.variant)
        if "sku" not in facts:
            raise CellInvalid("there is no sku")
        self.variants.append(facts)
        if stock is not None:
            self.stock[facts["sku"]] = stock

    def refuse(self, line: int, reason: str) -> None:
        if len(self.refusals) < MOST_VARIANTS:
            self.refusals.append(refusal(line, self.slug, f"{reason}; the whole product is left out"))

    def finish(self) -> list[Row | Refusal]:
        if self.refusals:
            return list(self.refusals)
        try:
            facts = {**product_facts(self.product), "variants": self.variants}
            return [checked(line=self.line, facts=facts, stock=self.stock or None)]
        except (msgspec.MsgspecError, CellInvalid) as error:
            refused = refusal(self.line, self.slug, error)
            if match := _VARIANT_PLACE.match(refused.reason):
                refused = msgspec.structs.replace(refused, line=self.lines[int(match["index"])])
            return [refused]


def read_csv(lines: Iterator[Line]) -> Iterator[Row | Refusal]:
    """The products of a file, in order. What the header has that is not known is reported and not carried over."""
    header = next((line for line in lines if not line.is_blank), None)
    if header is None:
        return
    if header.fault:
        yield refusal(header.number, "", header.fault)
        return
    delimiter = max(DELIMITERS, key=_QUOTED.sub("", header.text).count)
    try:
        titles = [title.strip() for title in next(csv.reader([header.text], delimiter=delimiter, strict=True))]
    except csv.Error as error:
        yield refusal(header.number, "", f"the header is no CSV: {error}")
        return
    columns = [column_of(title) for title in titles]
    yield from _judge_header(header.number, titles, columns)
    if all(any(column and column.kind == kind for column in columns) for kind in ("slug", "sku", "name")):
        yield from _read_records(_records(lines, delimiter), columns)


def _judge_header(number: int, titles: list[str], columns: Sequence[Column | None]) -> Iterator[Refusal]:
    kinds = {column.kind for column in columns if column}
    reasons = [
        (kind, f"there is no column {kind}: nothing is imported") for kind in ("slug", "sku") if kind not in kinds
    ]
    if "name" not in kinds:
        reasons.append(("name", f"{_NO_NAME}: nothing is imported"))
    for place, (title, column) in enumerate(zip(titles, columns, strict=True)):
        if column is None and title:
            reasons.append((title, "the column is not known and not carried over"))
        elif title and title in titles[:place]:
            reasons.append((title, "the column stands twice; the last one counts"))
    for title, reason in reasons:
        yield msgspec.structs.replace(refusal(number, title, reason), is_of_row=False)


def _records(lines: Iterator[Line], delimiter: str) -> Iterator[_Record]:
    """The records with the lines they begin in; a quoted cell may span lines, up to the limit of the csv module."""
    taken: list[Line] = []

    def texts() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line.text or "\n"

    reader = csv.reader(texts(), delimiter=delimiter, strict=True)
    while True:
        taken.clear()
        fault = ""
        cells: list[str] | None
        try:
            cells = next(reader, None)
        except csv.Error as error:
            cells, fault = [], f"the row is no CSV ({error}): is a quote not closed?"
        if cells is None:
            return
        fault = next((line.fault for line in taken if line.fault), fault)
        if fault and len(taken) > 1:
            fault += f" (lines {taken[0].number} to {taken[-1].number} are left out)"
        if cells or fault:
            yield _Record(taken[0].number, cells, fault)


def _read_records(records: Iterator[_Record], columns: Sequence[Column | None]) -> Iterator[Row | Refusal]:
    slug_at = max(index for index, column in enumerate(columns) if column and column.kind == "slug")
    group: _Group | None = None
    unread = 0
    for record in records:
        slug = record.cells[slug_at].strip() if slug_at < len(record.cells) else ""
        if record.fault or not slug:
            yield refusal(record.line, slug, record.fault or "there is no slug")
            unread = unread or record.line
            continue
        if group is None or slug != group.slug:
            yield from group.finish() if group else ()
            group = _Group(slug, record)
        elif unread:
            # A variant may be lost, and what a product no longer names goes off sale.
            group.refuse(unread, "the row among those of the product could not be read")
        unread = 0
        try:
            group.add(record.line, cells_of(columns, record.cells))
        except CellInvalid as error:
            group.refuse(record.line, str(error))
    yield from group.finish() if group else ()
