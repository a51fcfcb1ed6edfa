"""Which taxes there are, where, on what, and since when: dated rows with their source, never code."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date

import msgspec

from hansa.kernel.address import Country, Destination

STANDARD = "standard"
"""The class of everything that has no rate of its own."""


class TaxRate(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table. An empty `region` is the rest of the country; `valid_to` is the first day that it is over."""

    country: Country
    region: str
    tax_class: str
    code: str
    name_en: str
    name_zh: str
    rate_ppm: int
    applies_to_shipping: bool
    valid_from: date
    valid_to: date | None
    source: str

    def name(self, locale: str) -> str:
        return self.name_zh if locale.partition("-")[0] == "zh" else self.name_en

    def is_in_force(self, on: date) -> bool:
        return self.valid_from <= on and (self.valid_to is None or on < self.valid_to)

    @property
    def origin(self) -> str:
        """Where the rate is from: the row, its date, and who says so."""
        place = f"{self.country}-{self.region}" if self.region else self.country
        return f"{place} {self.tax_class} since {self.valid_from}: {self.source}"


class PostalArea(msgspec.Struct, frozen=True, kw_only=True):
    """Postal codes that begin with `first` to `last`, all of the same length, lie in a region."""

    country: Country
    region: str
    first: str
    last: str
    source: str

    def holds(self, destination: Destination) -> bool:
        code = destination.postal_code.strip()[: len(self.first)]
        return destination.country == self.country and self.first <= code <= self.last


class TaxTable:
    """All rates, by country, and which region a postal code lies in."""

    def __init__(self, rates: Iterable[TaxRate], areas: Iterable[PostalArea] = ()) -> None:
        self._areas = tuple(areas)
        self._by_country: dict[str, list[TaxRate]] = {}
        for rate in rates:
            self._by_country.setdefault(rate.country, []).append(rate)

    def at(self, destination: Destination, *, on: date) -> tuple[TaxRate, ...]:
        """The rates in force there on a day: the region's own rows, else the country's. None for a country that the
        table does not know: nothing is collected for it.

        The postal code says which region it is, wherever it can: the parcel goes by it, and how somebody writes the
        region must not change the tax.
        """
        known = [rate for rate in self._by_country.get(destination.country, ()) if rate.is_in_force(on)]
        region = next((area.region for area in self._areas if area.holds(destination)), _region(destination))
        own = [rate for rate in known if region and rate.region == region]
        return tuple(own or [rate for rate in known if not rate.region])


def of_class(rates: Sequence[TaxRate], tax_class: str) -> tuple[TaxRate, ...]:
    """The rates of a class of goods; a class without rows of its own is taxed like everything else."""
    own = tuple(rate for rate in rates if rate.tax_class == tax_class)
    return own or tuple(rate for rate in rates if rate.tax_class == STANDARD)


def read_taxes(text: str, *, areas: str = "") -> TaxTable:
    """The table from its files (CSV with a heading). Raises ValueError for a row that is malformed."""
    rates = []
    for number, row in enumerate(csv.DictReader(io.StringIO(text), strict=True), start=2):
        row["valid_to"] = row["valid_to"] or None
        try:
            facts = {**row, "applies_to_shipping": {"yes": True, "no": False}[row["applies_to_shipping"]]}
            rates.append(msgspec.convert(facts, TaxRate, strict=False))
        except (msgspec.ValidationError, KeyError) as error:
            raise ValueError(f"line {number} of the tax table: {error}") from error
    return TaxTable(
        rates, [msgspec.convert(row, PostalArea) for row in csv.DictReader(io.StringIO(areas), strict=True)]
    )


def _region(destination: Destination) -> str:
    """The region's code: "ca", "CA" and "US-CA" (ISO 3166-2) are one."""
    return destination.region.strip().upper().removeprefix(f"{destination.country}-")
