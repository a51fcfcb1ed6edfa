"""How a total comes about: every step from the prices of the lines to the sum, in words and figures that add up."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from babel.numbers import format_percent

from hansa.kernel.money import MILLIONTHS, Money
from hansa.web.visit import Visit

PROMOTION = "promotion"
RATE_FORMAT = "#,##0.####%"


class Adjusted(Protocol):
    """An adjustment of a quote or of an order: they say the same."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def basis(self) -> Money: ...
    @property
    def rate_ppm(self) -> int | None: ...
    @property
    def amount(self) -> Money: ...
    @property
    def included(self) -> bool: ...
    @property
    def line(self) -> str | None: ...
    @property
    def source(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is shown at a glance: adjustments of one name and rate are one step. `kind` is the adjustments'."""

    kind: str
    name: str
    rate: str
    amount: Money


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One adjustment, explained; `about` is the name of the line it belongs to, empty for the whole."""

    name: str
    rate: str
    basis: Money
    amount: Money
    included: bool
    about: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Trail:
    """`total = subtotal + the sum of added`, exactly; `within` are parts of these that are named besides."""

    subtotal: Money
    added: tuple[Step, ...]
    total: Money
    within: tuple[Step, ...]
    reasons: tuple[Reason, ...]


def trail(
    visit: Visit, *, subtotal: Money, adjustments: Sequence[Adjusted], total: Money, names: Mapping[str, str]
) -> Trail:
    """`names` are those of the lines, by sku."""
    return Trail(
        subtotal=subtotal,
        added=_steps(visit, (each for each in adjustments if not each.included)),
        total=total,
        within=_steps(visit, (each for each in adjustments if each.included)),
        reasons=tuple(
            Reason(
                name=_name(visit, each),
                rate=rate_text(visit, each.rate_ppm),
                basis=each.basis,
                amount=each.amount,
                included=each.included,
                about=names.get(each.line, each.line) if each.line else "",
                source="" if each.kind == PROMOTION else each.source,  # a promotion is its own reason
            )
            for each in adjustments
        ),
    )


def rate_text(visit: Visit, rate_ppm: int | None) -> str:
    """72,500 parts per million as 7.25%."""
    if rate_ppm is None:
        return ""
    return format_percent(Decimal(rate_ppm) / MILLIONTHS, format=RATE_FORMAT, locale=visit.babel)


def _name(visit: Visit, each: Adjusted) -> str:
    """A promotion need not have a name of its own."""
    return each.name or visit.say("sums.promotion")


def _steps(visit: Visit, adjustments: Iterable[Adjusted]) -> tuple[Step, ...]:
    """In the order of an invoice: promotions, delivery, taxes."""
    sums: dict[tuple[str, str, int | None, str], int] = {}
    for each in adjustments:
        name = (each.kind, _name(visit, each), each.rate_ppm, each.amount.currency)
        sums[name] = sums.get(name, 0) + each.amount.amount
    steps = [
        Step(kind=kind, name=name, rate=rate_text(visit, rate_ppm), amount=Money(amount, currency))
        for (kind, name, rate_ppm, currency), amount in sums.items()
    ]
    return tuple(sorted(steps, key=lambda step: {PROMOTION: 0, "shipping": 1}.get(step.kind, 2)))
