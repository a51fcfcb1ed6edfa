"""Money: integer minor units and an ISO 4217 currency; sums are split without losing a cent."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$(?!\n)")]
Minor = Annotated[int, msgspec.Meta(ge=-(10**15), le=10**15)]

MILLIONTHS = 1_000_000
"""Rates (tax, discount) are integers in parts per million, so that no float comes near a price."""

_WITHOUT_DECIMALS = ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV")
_WITHOUT_DECIMALS_OF_UNIONS = ("XAF", "XOF", "XPF")
_WITH_THREE_DECIMALS = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
_DECIMALS = {
    **dict.fromkeys((*_WITHOUT_DECIMALS, *_WITHOUT_DECIMALS_OF_UNIONS), 0),
    **dict.fromkeys(_WITH_THREE_DECIMALS, 3),
}
"""ISO 4217 list one: currencies whose minor unit is not a hundredth."""


class Money(msgspec.Struct, frozen=True, order=True):
    """An amount in minor units of a currency: `Money(1999, "USD")` is 19.99 US dollars."""

    amount: Minor
    currency: Currency


def decimals(currency: str) -> int:
    """How many decimals a currency is written with: 0, 2 or 3."""
    return _DECIMALS.get(currency, 2)


def to_text(amount: int, currency: str) -> str:
    """`1999, "USD"` as `19.99`: for mails and logs of sums; pages format by language."""
    digits = decimals(currency)
    if digits == 0:
        return str(amount)
    sign = "-" if amount < 0 else ""
    whole, fraction = divmod(abs(amount), 10**digits)
    return f"{sign}{whole}.{fraction:0{digits}d}"


def share(amount: int, weights: Sequence[int]) -> list[int]:
    """Split an amount in proportion to weights so that the parts sum to it exactly (largest remainders first;
    ties go to the earlier part). Weights are not negative; if all are zero, the first part takes everything."""
    total = sum(weights)
    if total == 0:
        return [amount, *([0] * (len(weights) - 1))] if weights else []
    sign = -1 if amount < 0 else 1
    parts = [abs(amount) * weight // total for weight in weights]
    remainders = [abs(amount) * weight % total for weight in weights]
    missing = abs(amount) - sum(parts)
    for index in sorted(range(len(weights)), key=lambda index: (-remainders[index], index))[:missing]:
        parts[index] += 1
    return [sign * part for part in parts]


def at_rate(amount: int, rate_ppm: int) -> int:
    """A rate's part of an amount, halves away from zero."""
    return _divide(amount * rate_ppm, MILLIONTHS)


def within_rate(gross: int, rate_ppm: int) -> int:
    """The part of a gross amount that is tax at a rate already included in it: gross * rate / (1 + rate)."""
    return _divide(gross * rate_ppm, MILLIONTHS + rate_ppm)


def _divide(numerator: int, denominator: int) -> int:
    quotient = (abs(numerator) * 2 + denominator) // (2 * denominator)
    return quotient if numerator >= 0 else -quotient
