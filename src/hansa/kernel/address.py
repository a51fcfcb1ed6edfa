"""Where people can be reached: postal addresses as every country writes them, and e-mail addresses."""

from typing import Annotated

import msgspec

Country = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}$(?!\n)")]
"""ISO 3166-1 alpha-2."""
_LABEL = r"[^@\s\x00-\x1f<>,;]+"
Email = Annotated[str, msgspec.Meta(min_length=3, max_length=254, pattern=rf"^{_LABEL}@{_LABEL}\.{_LABEL}$(?!\n)")]
"""Loosely checked: only a mail that arrives proves an address. (`$` alone lets a line break pass at the end.)"""
_ONE_LINE = r"^[^\x00-\x1f\x7f\x85\u2028\u2029]*$(?!\n)"
"""No line breaks and no control characters: an address is printed on labels and stands in mails."""
_Line = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=_ONE_LINE)]
_MaybeLine = Annotated[str, msgspec.Meta(max_length=200, pattern=_ONE_LINE)]


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A postal address. Which optional fields a country needs is shipping's to say."""

    name: _Line
    line1: _Line
    line2: _MaybeLine = ""
    district: _MaybeLine = ""
    city: _Line
    region: _MaybeLine = ""
    postal_code: Annotated[str, msgspec.Meta(max_length=20)] = ""
    country: Country
    phone: Annotated[str, msgspec.Meta(max_length=40)] = ""

    @property
    def destination(self) -> "Destination":
        return Destination(country=self.country, region=self.region, postal_code=self.postal_code)


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """As much of an address as tax and freight depend on: nobody is recognised by it."""

    country: Country
    region: _MaybeLine = ""
    postal_code: Annotated[str, msgspec.Meta(max_length=20)] = ""
