"""Rates: what can be chosen for a basket on its way to a country, and for how much."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated

import msgspec

from hansa.kernel.money import Currency, Money
from hansa.services.shipping.contract import Method, Option
from hansa.services.shipping.rules.rows import EVERYWHERE, DatedRow, Text

Price = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
Days = Annotated[int, msgspec.Meta(ge=0, le=365)]


class Rate(DatedRow, frozen=True, kw_only=True):
    """A row of the tariff: a price in minor units, nothing from a subtotal of `free_from` on, up to a weight.

    Rows of one code are bands of weight: the lightest that bears the basket counts; one without a limit bears all.
    """

    currency: Currency
    code: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,39}$(?!\n)")]
    method: Method
    name_en: Text
    name_zh: Text
    price: Price
    free_from: Price | None = None
    max_weight_grams: Annotated[int, msgspec.Meta(ge=1)] | None = None
    earliest_days: Days
    latest_days: Days
    tax_class: Text

    def __post_init__(self) -> None:
        if self.earliest_days > self.latest_days:
            raise ValueError("what arrives at the latest is not before what arrives at the earliest")

    def bears(self, weight_grams: int) -> bool:
        return self.max_weight_grams is None or weight_grams <= self.max_weight_grams

    def option(self, *, subtotal: Money, locale: str) -> Option:
        is_free = self.free_from is not None and subtotal.amount >= self.free_from
        return Option(
            code=self.code,
            method=self.method,
            name=self.name_zh if locale.partition("-")[0] == "zh" else self.name_en,
            price=Money(0 if is_free else self.price, self.currency),
            earliest_days=self.earliest_days,
            latest_days=self.latest_days,
            tax_class=self.tax_class,
            source=f"{self.country} {self.currency} {self.code} since {self.valid_from}: {self.source}",
        )


class Tariff:
    """All rates, by country and currency."""

    def __init__(self, rates: Iterable[Rate]) -> None:
        self._rates: dict[tuple[str, str], list[Rate]] = {}
        for rate in rates:
            self._rates.setdefault((rate.country, rate.currency), []).append(rate)

    def options(self, *, country: str, weight_grams: int, subtotal: Money, locale: str, on: date) -> tuple[Option, ...]:
        """What can be chosen on a day, cheapest first, of equals the fastest; empty if nothing goes there."""
        lightest: dict[str, Rate] = {}
        for rate in self._in_force(country, subtotal.currency, on):
            if rate.bears(weight_grams):
                lightest[rate.code] = min(lightest.get(rate.code, rate), rate, key=_limit)
        options = [rate.option(subtotal=subtotal, locale=locale) for rate in lightest.values()]
        return tuple(
            sorted(
                options, key=lambda option: (option.price.amount, option.latest_days, option.earliest_days, option.code)
            )
        )

    def reached(self, countries: Iterable[str], *, on: date) -> tuple[str, ...]:
        """Those of the countries to which something goes on a day, in whichever currency, in order."""
        places = {place for (place, _), rates in self._rates.items() if any(rate.is_in_force(on) for rate in rates)}
        return tuple(sorted(country for country in countries if not places.isdisjoint((country, EVERYWHERE))))

    def _in_force(self, country: str, currency: str, on: date) -> list[Rate]:
        """The country's own rates in the currency, else those for everywhere; never some of each."""
        for place in (country, EVERYWHERE):
            if rates := [rate for rate in self._rates.get((place, currency), ()) if rate.is_in_force(on)]:
                return rates
        return []


def _limit(rate: Rate) -> float:
    return rate.max_weight_grams or float("inf")
