"""Addresses: which fields a country's have, and what may stand in them."""

import re
from collections.abc import Iterable
from datetime import date
from typing import Literal

from hansa.kernel.address import Address
from hansa.services.shipping.contract import AddressField
from hansa.services.shipping.rules.rows import EVERYWHERE, DatedRow

Name = Literal["name", "line1", "line2", "district", "city", "region", "postal_code", "phone"]


class AddressRule(DatedRow, frozen=True, kw_only=True):
    """A row of the rules: whether a field must be filled, and the regular expression of its whole value, if any."""

    field: Name
    required: Literal["yes", "no"]
    pattern: str | None = None

    def __post_init__(self) -> None:
        if self.pattern is not None:
            re.compile(self.pattern)


class AddressBook:
    """All rules, by country."""

    def __init__(self, rules: Iterable[AddressRule]) -> None:
        self._rules: dict[str, list[AddressRule]] = {}
        for rule in rules:
            self._rules.setdefault(rule.country, []).append(rule)

    def fields(self, *, country: str, on: date) -> tuple[AddressField, ...]:
        """The fields of a country's addresses on a day, in the order of a form: those of everywhere, some of which the
        country has rules of its own for."""
        fields: dict[str, AddressField] = {}
        for place in (EVERYWHERE, country):
            for rule in self._rules.get(place, ()):
                if rule.is_in_force(on):
                    is_required = rule.required == "yes"
                    fields[rule.field] = AddressField(name=rule.field, required=is_required, pattern=rule.pattern)
        return tuple(fields.values())

    def first_wrong(self, address: Address, *, on: date) -> str | None:
        """The first field that is missing or malformed; blanks around a value are nobody's fault."""
        for field in self.fields(country=address.country, on=on):
            value = getattr(address, field.name).strip()
            if not value:
                if field.required:
                    return field.name
            elif field.pattern is not None and not re.fullmatch(field.pattern, value, re.ASCII):
                return field.name
        return None
