"""Forms of postal addresses: the fields a country's addresses have, what was filled in, and what is wrong with it."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from hansa.kernel.address import Address
from hansa.services.shipping.contract import AddressField, NotDelivered, Shipping
from hansa.web.forms import Form
from hansa.web.site import territory_of
from hansa.web.storefront.regions import regions_of
from hansa.web.visit import Visit

AUTOCOMPLETE = {
    "name": "name",
    "line1": "address-line1",
    "line2": "address-line2",
    "district": "address-level3",
    "city": "address-level2",
    "region": "address-level1",
    "postal_code": "postal-code",
    "phone": "tel",
}
"""The fields of an address, by the names that browsers fill them in by."""
LONGEST = {"postal_code": 20, "phone": 40}
LONGEST_LINE = 200
FROM_LARGE_TO_SMALL = frozenset({"CN", "HK", "JP", "KR", "MO", "TW"})
"""Where an address begins with the region and ends with the door."""
LARGE_TO_SMALL = ("name", "phone", "region", "city", "district", "line1", "line2", "postal_code")
WIDE = frozenset({"name", "line1", "line2"})
WITH_DISTRICT = FROM_LARGE_TO_SMALL | {"BR", "ID", "IN", "MX", "MY", "PH", "TH", "TR", "VN"}
_A_TO_L = {"AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "FI", "FR", "GB", "GR", "HR", "HU", "IS", "LT", "LU"}
WITHOUT_REGION = _A_TO_L | {"LV", "MC", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SG", "SI", "SK"}
"""Where nobody writes it. A field that is seldom needed is shown where it is a must, or has something in it."""


@dataclass(frozen=True, kw_only=True)
class SheetField:
    """One field as it is shown."""

    name: str
    label: str
    required: bool
    autocomplete: str
    longest: int
    is_wide: bool
    choices: tuple[tuple[str, str], ...] = ()
    """What is offered: values, each with a name where that is another."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A form of one address. `problems` are texts by field; `address` is there once nothing is wrong."""

    country: str
    countries: tuple[tuple[str, str], ...]
    fields: tuple[SheetField, ...]
    values: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    address: Address | None = None


async def blank(visit: Visit, *, country: str = "", values: Mapping[str, str] | None = None) -> Sheet:
    """An empty form, or one with some values in it, for a country: else the one that goes with the language."""
    sheet, _ = await _sheet(visit, country, values or {})
    return sheet


async def filled(visit: Visit, address: Address) -> Sheet:
    """A form that holds an address."""
    values = {name: str(getattr(address, name)) for name in AUTOCOMPLETE}
    return await blank(visit, country=address.country, values=values)


async def kept(visit: Visit, form: Form) -> Sheet:
    """A form as it was sent, not looked at any closer: its country has changed."""
    return await blank(visit, country=form.get("country"), values=_values(form))


async def read(visit: Visit, form: Form) -> Sheet:
    """A form that was sent, with everything that is wrong with it."""
    values = _values(form)
    sheet, rules = await _sheet(visit, form.get("country"), values)
    problems = {}
    if sheet.country != form.get("country"):
        problems["country"] = visit.say("address.wrong.country")
    for shown in sheet.fields:
        if wrong := _wrong(rules[shown.name], values.get(shown.name, "")):
            problems[shown.name] = visit.say(f"address.wrong.{wrong}", field=shown.label)
    found = {name: values.get(name, "") for name in rules}
    address = None if problems else Address(country=sheet.country, **found)
    return Sheet(
        country=sheet.country,
        countries=sheet.countries,
        fields=sheet.fields,
        values=values,
        problems=problems,
        address=address,
    )


def written(visit: Visit, address: Address) -> list[str]:
    """The lines of an address in the order of its country, the country last."""
    town = [address.postal_code, address.city, address.region]
    if address.country in ("US", "CA", "AU"):
        town = [f"{address.city}," if address.region else address.city, address.region, address.postal_code]
    if address.country == "GB":
        town = [address.city, address.region, address.postal_code]
    lines = [address.name, address.line1, address.line2, address.district, " ".join(filter(None, town))]
    if address.country in FROM_LARGE_TO_SMALL:
        place = "".join((address.region, address.city, address.district))
        if place.isascii():
            place = " ".join(filter(None, (address.region, address.city, address.district)))
        lines = [address.name, place, address.line1, address.line2, address.postal_code]
    return [line for line in (*lines, visit.country(address.country), address.phone) if line]


async def _sheet(visit: Visit, country: str, values: Mapping[str, str]) -> tuple[Sheet, dict[str, AddressField]]:
    shipping = visit.client(Shipping)
    codes = await shipping.countries()
    if country not in codes:
        country = territory_of(visit.locale)
    if country not in codes:
        country = codes[0]
    try:
        rules = {rule.name: rule for rule in await shipping.address_fields(country=country)}
    except NotDelivered:  # the shop stopped delivering there since the list was made
        rules = {}
    order = LARGE_TO_SMALL if country in FROM_LARGE_TO_SMALL else tuple(rules)
    sheet = Sheet(
        country=country,
        countries=tuple(sorted(((code, visit.country(code)) for code in codes), key=_spelling)),
        fields=tuple(
            _shown(visit, country, rules[name])
            for name in order
            if name in rules and (rules[name].required or values.get(name) or _is_usual(name, country))
        ),
        values=values,
    )
    return sheet, rules


def _shown(visit: Visit, country: str, rule: AddressField) -> SheetField:
    return SheetField(
        name=rule.name,
        label=visit.say_or(f"address.of.{country}.{rule.name}", visit.say(f"address.{rule.name}")),
        required=rule.required,
        autocomplete=AUTOCOMPLETE[rule.name],
        longest=LONGEST.get(rule.name, LONGEST_LINE),
        is_wide=rule.name in WIDE,
        choices=regions_of(country, locale=visit.locale) if rule.name == "region" else (),
    )


def _is_usual(name: str, country: str) -> bool:
    return {"district": country in WITH_DISTRICT, "region": country not in WITHOUT_REGION}.get(name, True)


def _spelling(country: tuple[str, str]) -> tuple[bytes, str]:
    """Chinese names by their sound: the old national character set has the usual characters in that order."""
    code, name = country
    return unicodedata.normalize("NFKD", name.casefold()).encode("gb18030"), code


def _values(form: Form) -> dict[str, str]:
    return {name: " ".join(form.get(name).split()) for name in AUTOCOMPLETE}


def _wrong(rule: AddressField, value: str) -> str | None:
    if not value:
        return "missing" if rule.required else None
    if len(value) > LONGEST.get(rule.name, LONGEST_LINE) or not value.isprintable():
        return "malformed"
    if rule.pattern is not None and not re.fullmatch(rule.pattern, value, re.ASCII):
        return "malformed"
    return None
