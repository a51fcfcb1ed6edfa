"""What may be asked of shipping, and every way shipping may say no."""

from typing import Annotated, Literal, Protocol

import msgspec

from hansa.kernel.address import Address, Country, Destination
from hansa.kernel.contract import query
from hansa.kernel.errors import BusinessError, Kind
from hansa.kernel.money import Money

Method = Literal["parcel", "pickup", "digital"]


class NotDelivered(BusinessError, code="shipping.not_delivered", kind=Kind.UNPROCESSABLE):
    """Nothing is delivered to this country, or not in this currency."""

    country: str


class AddressIncomplete(BusinessError, code="shipping.address_incomplete", kind=Kind.INVALID):
    """The country's addresses need a field that is missing or malformed."""

    field: str
    pointer: str


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """A way of delivery and its price. `source` names the rate table's row and date."""

    code: str
    method: Method
    name: str
    price: Money
    earliest_days: int
    latest_days: int
    tax_class: str
    source: str


class AddressField(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a country's addresses; `pattern` is a regular expression for the whole value, if it has one."""

    name: str
    required: bool
    pattern: str | None = None


class Shipping(Protocol):
    """Rates and address rules; both are dated data with their source, never code."""

    @query(errors=(NotDelivered,))
    async def options(
        self,
        *,
        destination: Destination,
        weight_grams: Annotated[int, msgspec.Meta(ge=0)],
        subtotal: Money,
        locale: str,
    ) -> tuple[Option, ...]:
        """What can be chosen, cheapest first; never empty."""
        ...

    @query(errors=(AddressIncomplete, NotDelivered))
    async def check_address(self, *, address: Address) -> None:
        """Raises for the first field that the country needs and the address lacks."""
        ...

    @query(errors=(NotDelivered,))
    async def address_fields(self, *, country: Country) -> tuple[AddressField, ...]: ...

    @query()
    async def countries(self) -> tuple[Country, ...]:
        """The countries that the shop sells to and delivers in, by code."""
        ...
