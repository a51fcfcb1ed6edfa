"""Rows that hold for a while and say where they are from: the form of all data of shipping."""

import csv
import io
from datetime import date
from typing import Annotated, TypeVar

import msgspec

EVERYWHERE = "*"
"""Stands for every country that has no rows of its own."""

Place = Annotated[str, msgspec.Meta(pattern=r"^([A-Z]{2}|\*)$(?!\n)")]
Text = Annotated[str, msgspec.Meta(min_length=1)]

T = TypeVar("T", bound=msgspec.Struct)


class DatedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row for a country. Days are those of UTC; `valid_to` is the first day on which it holds no more."""

    country: Place
    valid_from: date
    valid_to: date | None = None
    source: Text

    def is_in_force(self, on: date) -> bool:
        return self.valid_from <= on and (self.valid_to is None or on < self.valid_to)


def read_rows(text: str, type_: type[T]) -> tuple[T, ...]:
    """The rows of a file (CSV with a heading; an empty cell is nothing). Raises ValueError for a malformed one."""
    rows = []
    for number, row in enumerate(csv.DictReader(io.StringIO(text), strict=True), start=2):
        facts = {name: value for name, value in row.items() if value != ""}
        try:
            rows.append(msgspec.convert(facts, type_, strict=False))
        except msgspec.ValidationError as error:
            raise ValueError(f"line {number}: {error}") from error
    return tuple(rows)
