"""The regions of countries where parcels go by them, as they are written in an address there."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

FILE = Path(__file__).with_name("regions.csv")
BY_CODE = frozenset({"US"})
"""Where an address has the region's code, and not its name."""


def read_regions(text: str) -> Mapping[str, Sequence[Mapping[str, str]]]:
    """The rows by country (CSV with a heading)."""
    by_country: dict[str, list[Mapping[str, str]]] = {}
    for row in csv.DictReader(text.splitlines(), strict=True):
        by_country.setdefault(row["country"], []).append(row)
    return by_country


REGIONS = read_regions(FILE.read_text("utf-8"))


def regions_of(country: str, *, locale: str) -> tuple[tuple[str, str], ...]:
    """What to choose from: the value that an address has, and its name where that is another. Nothing
    where they are not listed. They are offered, and not demanded: people write them in other ways, too."""
    name = "name_zh" if locale.partition("-")[0] == "zh" else "name_en"
    rows = REGIONS.get(country, ())
    return tuple((row["code"], row[name]) if country in BY_CODE else (row[name], "") for row in rows)
