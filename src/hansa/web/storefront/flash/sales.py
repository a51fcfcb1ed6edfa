"""Flash sales as their pages show them: what is sold, at which price, and the moments in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from hansa.kernel.errors import Fault
from hansa.kernel.ids import is_id
from hansa.kernel.money import Money
from hansa.services.products.contract import Image, Offer, Products
from hansa.services.promotions.contract import FlashSale, NoSuchFlashSale, Promotions
from hansa.web.storefront.catalogue import products_of
from hansa.web.visit import Visit

LARGEST_EXACT = 10
"""Up to so many pieces the service tells exactly what is left; above, the page says `about`."""


@dataclass(frozen=True, kw_only=True)
class ShownSale:
    """A sale and the thing on sale. What is not for sale any more has no offer, and is called by its sku."""

    sale: FlashSale
    offer: Offer | None
    picture: Image | None

    @property
    def name(self) -> str:
        return self.sale.name or (self.offer.name if self.offer else self.sale.sku)

    @property
    def regular(self) -> Money | None:
        """The usual price, where it is a higher one."""
        usual = self.offer.price if self.offer else None
        return usual if usual and usual.amount > self.sale.price.amount else None

    @property
    def price(self) -> Money:
        """What a piece costs: a sale's price above the usual one changes nothing."""
        usual = self.offer.price if self.offer else None
        return usual if usual and usual.amount < self.sale.price.amount else self.sale.price


async def get_sale(visit: Visit, sale_id: str) -> FlashSale:
    """Raises NoSuchFlashSale, for what cannot be an id too."""
    if not is_id(sale_id):
        raise NoSuchFlashSale()
    return await visit.client(Promotions).get(sale_id=sale_id)


async def shown_sales(visit: Visit, sales: Sequence[FlashSale]) -> list[ShownSale]:
    """With offers and pictures; each sale has a currency of its own."""
    offers: dict[tuple[str, str], Offer] = {}
    for currency in sorted({sale.price.currency for sale in sales}):
        skus = tuple(dict.fromkeys(sale.sku for sale in sales if sale.price.currency == currency))
        found = await visit.client(Products).offers(
            skus=skus, locale=visit.locale, currency=currency, price_list=visit.site.channel.price_list
        )
        offers.update(((offer.sku, currency), offer) for offer in found)
    products = await products_of(visit, (offer.product_id for offer in offers.values()))
    shown = []
    for sale in sales:
        offer = offers.get((sale.sku, sale.price.currency))
        product = products.get(offer.product_id) if offer else None
        picture = next((each for each in product.images if visit.may_show(each.url)), None) if product else None
        shown.append(ShownSale(sale=sale, offer=offer, picture=picture))
    return shown


async def shown_sale(visit: Visit, sale_id: str) -> ShownSale:
    return (await shown_sales(visit, [await get_sale(visit, sale_id)]))[0]


async def running(visit: Visit) -> tuple[FlashSale, ...]:
    """The sales that run or are to come; none while promotions cannot be asked."""
    try:
        return (await visit.client(Promotions).list()).items
    except Fault:
        return ()
