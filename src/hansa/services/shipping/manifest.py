"""What shipping says of itself: it asks nobody, and its data are the files beside its rules."""

from functools import cache
from pathlib import Path

import msgspec

from hansa.platform.manifest import Manifest, Parts
from hansa.services.shipping.contract import Shipping
from hansa.services.shipping.rules import AddressBook, AddressRule, Rate, Tariff, read_rows
from hansa.services.shipping.service import ShippingService
from hansa.services.shipping.tables import METADATA

FOLDER = Path(__file__).parent


class Country(msgspec.Struct, frozen=True):
    """A country of ISO 3166-1 alpha-2, with its usual English name (after the time zone database's iso3166.tab)."""

    country: str
    name: str


def build(parts: Parts) -> ShippingService:
    return ShippingService(
        clock=parts.clock,
        tariff=_tariff(),
        addresses=_addresses(),
        countries=_countries(),
        sold_to=parts.channel.countries,
    )


# Read once: the files are part of the release, and several shops may be composed in one process.
@cache
def _tariff() -> Tariff:
    return Tariff(read_rows(_file("rates.csv"), Rate))


@cache
def _addresses() -> AddressBook:
    return AddressBook(read_rows(_file("address_fields.csv"), AddressRule))


@cache
def _countries() -> tuple[str, ...]:
    return tuple(row.country for row in read_rows(_file("countries.csv"), Country))


def _file(name: str) -> str:
    return (FOLDER / "rules" / name).read_text(encoding="utf-8")


MANIFEST = Manifest(name="shipping", contract=Shipping, metadata=METADATA, folder=FOLDER, build=build)
