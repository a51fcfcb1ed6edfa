"""What shipping does when it is asked: it looks into its tables, as of today."""

from collections.abc import Collection
from datetime import date

from hansa.kernel.address import Address, Destination
from hansa.kernel.clock import Clock
from hansa.kernel.money import Money
from hansa.services.shipping.contract import AddressField, AddressIncomplete, NotDelivered, Option
from hansa.services.shipping.rules import AddressBook, Tariff

POINTER = "/shipping_address"
"""Where an address stands in what a buyer sends."""


class ShippingService:
    """See the contract. `countries` are those there are; `sold_to` those the shop sells to, empty for all of them."""

    def __init__(
        self,
        *,
        clock: Clock,
        tariff: Tariff,
        addresses: AddressBook,
        countries: Collection[str],
        sold_to: Collection[str] = (),
    ) -> None:
        self._clock = clock
        self._tariff = tariff
        self._addresses = addresses
        self._countries = frozenset(countries) & frozenset(sold_to or countries)

    async def options(
        self, *, destination: Destination, weight_grams: int, subtotal: Money, locale: str
    ) -> tuple[Option, ...]:
        self._check(destination.country)
        options = self._tariff.options(
            country=destination.country,
            weight_grams=weight_grams,
            subtotal=subtotal,
            locale=locale,
            on=self._today(),
        )
        if not options:
            raise NotDelivered(country=destination.country)
        return options

    async def check_address(self, *, address: Address) -> None:
        self._check(address.country)
        if wrong := self._addresses.first_wrong(address, on=self._today()):
            raise AddressIncomplete(field=wrong, pointer=f"{POINTER}/{wrong}")

    async def address_fields(self, *, country: str) -> tuple[AddressField, ...]:
        self._check(country)
        return self._addresses.fields(country=country, on=self._today())

    async def countries(self) -> tuple[str, ...]:
        return self._tariff.reached(self._countries, on=self._today())

    def _check(self, country: str) -> None:
        if country not in self._countries:
            raise NotDelivered(country=country)

    def _today(self) -> date:
        return self._clock.now().date()
