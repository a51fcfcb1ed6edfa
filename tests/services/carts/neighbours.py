"""Stand-ins for products and shipping that keep to their contracts, with what a test puts into them."""

from collections.abc import Mapping

from hansa.kernel.address import Address, Destination
from hansa.kernel.channel import MAIN
from hansa.kernel.money import Money
from hansa.services.products.contract import Offer
from hansa.services.shipping.contract import AddressField, NotDelivered, Option


def offer(
    sku: str,
    amount: int,
    currency: str = "USD",
    *,
    tax_included: bool = False,
    tax_class: str = "standard",
    weight_grams: int = 100,
    name: str = "",
) -> Offer:
    return Offer(
        sku=sku,
        product_id="4194304",
        slug=sku.lower(),
        name=name or sku,
        options={"size": "M", "colour": "red"},
        price=Money(amount, currency),
        tax_included=tax_included,
        tax_class=tax_class,
        weight_grams=weight_grams,
    )


def option(code: str, amount: int, currency: str = "USD", *, tax_class: str = "standard") -> Option:
    return Option(
        code=code,
        method="parcel",
        name=code.title(),
        price=Money(amount, currency),
        earliest_days=2,
        latest_days=5,
        tax_class=tax_class,
        source=f"rates {code}",
    )


class ProductsStandIn:
    """Offers, by sku; everything in `offers_now` is for sale."""

    def __init__(self, *offers: Offer) -> None:
        self.offers_now = {(one.sku, one.price.currency): one for one in offers}

    async def offers(
        self, *, skus: tuple[str, ...], locale: str, currency: str, price_list: str = MAIN
    ) -> tuple[Offer, ...]:
        return tuple(self.offers_now[sku, currency] for sku in reversed(skus) if (sku, currency) in self.offers_now)


class ShippingStandIn:
    """The same options for every country that is named."""

    def __init__(self, options: Mapping[str, tuple[Option, ...]]) -> None:
        self._options = options

    async def options(
        self, *, destination: Destination, weight_grams: int, subtotal: Money, locale: str
    ) -> tuple[Option, ...]:
        found = tuple(
            one for one in self._options.get(destination.country, ()) if one.price.currency == subtotal.currency
        )
        if not found:
            raise NotDelivered(country=destination.country)
        return found

    async def check_address(self, *, address: Address) -> None: ...

    async def address_fields(self, *, country: str) -> tuple[AddressField, ...]:
        return ()
