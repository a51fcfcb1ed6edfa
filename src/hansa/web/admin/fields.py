"""What staff type into fields, checked before a service is told, so that each error stands next to its field."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from hansa.kernel.money import decimals, to_text

LARGEST_AMOUNT = 10**12
_AMOUNT = re.compile(r"[0-9]{1,13}([.,][0-9]{1,3})?", re.ASCII)
_WHOLE = re.compile(r"[0-9]{1,12}", re.ASCII)


class FieldsWrong(Exception):
    """Some fields are wrong: by name, the key of the text that says why."""

    def __init__(self, wrong: dict[str, str]) -> None:
        super().__init__(wrong)
        self.wrong = wrong


class Reader:
    """Reads fields one by one and remembers which were wrong."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values
        self.wrong: dict[str, str] = {}

    def text(self, name: str, type_: Any = str, *, says: str = "too_long", is_required: bool = False) -> str | None:
        """The text, or None for an empty field."""
        text = self.values.get(name, "").strip()
        if not text:
            if is_required:
                self.wrong[name] = "required"
            return None
        checked: str | None = self._checked(name, text, type_, says)
        return checked

    def whole(self, name: str, type_: Any = int) -> int | None:
        """A whole number that is not negative, or None for an empty field."""
        text = self.values.get(name, "").strip()
        if not text:
            return None
        if not _WHOLE.fullmatch(text):
            self.wrong[name] = "number"
            return None
        checked: int | None = self._checked(name, int(text), type_, "number")
        return checked

    def amount(self, name: str, currency: str) -> int | None:
        """Minor units of a sum such as `19.99` or `19,99`, or None for an empty field."""
        text = self.values.get(name, "").strip()
        if not text:
            return None
        minor = minor_units(text, currency)
        if minor is None or minor > LARGEST_AMOUNT:
            self.wrong[name] = "amount"
            return None
        return minor

    def done(self) -> None:
        """Raises FieldsWrong if anything was."""
        if self.wrong:
            raise FieldsWrong(self.wrong)

    def _checked(self, name: str, value: Any, type_: Any, says: str) -> Any:
        try:
            return msgspec.convert(value, type_)
        except msgspec.ValidationError:
            self.wrong[name] = says
            return None


def minor_units(text: str, currency: str) -> int | None:
    """What a sum is in minor units, or None if it is no sum or has too many decimals."""
    if not _AMOUNT.fullmatch(text):
        return None
    try:
        exact = Decimal(text.replace(",", ".")).scaleb(decimals(currency))
    except InvalidOperation:
        return None
    return int(exact) if exact == exact.to_integral_value() else None


def amount_text(amount: int | None, currency: str) -> str:
    """A sum as it stands in a field."""
    return "" if amount is None else to_text(amount, currency)


def plain(text: str | None) -> str:
    """A text as a form sends it back."""
    return (text or "").replace("\r\n", "\n").strip()
