"""The lines of a cart as they are shown, and how many pieces of each can be had."""

from collections.abc import Sequence
from dataclasses import dataclass

from hansa.kernel.errors import Fault
from hansa.kernel.money import Money
from hansa.services.carts.contract import LARGEST_QUANTITY, Cart, CartLine
from hansa.services.inventory.contract import Inventory
from hansa.services.products.contract import Image, Offer, Products
from hansa.web.storefront.catalogue import products_of
from hansa.web.visit import Visit

MOST_CHOICES = 10
"""Quantities that are offered to choose from; what the cart holds is always among them."""


@dataclass(frozen=True, kw_only=True)
class ShownLine:
    """A line for sale. `left` pieces can be had at present, None if that cannot be asked."""

    sku: str
    name: str
    slug: str
    options: dict[str, str]
    picture: Image | None
    quantity: int
    unit_price: Money
    total: Money
    left: int | None
    choices: tuple[int, ...]

    @property
    def is_short(self) -> bool:
        return self.left is not None and self.left < self.quantity


@dataclass(frozen=True, kw_only=True)
class GoneLine:
    """A line that is not for sale: no more at all, or not in the cart's currency but in `currencies`."""

    sku: str
    name: str
    quantity: int
    currencies: tuple[str, ...]


async def shown_lines(visit: Visit, cart: Cart) -> list[ShownLine]:
    products = await products_of(visit, (line.product_id for line in cart.quote.lines))
    left = await stock(visit, [line.sku for line in cart.quote.lines])
    lines = []
    for line in cart.quote.lines:
        product = products.get(line.product_id)
        lines.append(
            ShownLine(
                sku=line.sku,
                name=line.name,
                slug=line.slug,
                options=line.options,
                picture=product.images[0] if product and product.images else None,
                quantity=line.quantity,
                unit_price=line.unit_price,
                total=line.total,
                left=left.get(line.sku),
                choices=_choices(line.quantity, left.get(line.sku)),
            )
        )
    return lines


async def gone_lines(visit: Visit, cart: Cart) -> list[GoneLine]:
    """What is in the cart and not for sale, by its name wherever another currency still knows it."""
    if not cart.unavailable:
        return []
    offers: dict[str, dict[str, Offer]] = {sku: {} for sku in cart.unavailable}
    for currency in visit.site.channel.currencies:
        if currency == cart.currency:
            continue
        for offer in await visit.client(Products).offers(
            skus=cart.unavailable, locale=visit.locale, currency=currency, price_list=visit.site.channel.price_list
        ):
            offers[offer.sku][currency] = offer
    gone = [line for line in cart.lines if line.sku in offers]
    return [
        GoneLine(
            sku=line.sku,
            name=next((offer.name for offer in offers[line.sku].values()), line.sku),
            quantity=line.quantity,
            currencies=tuple(offers[line.sku]),
        )
        for line in gone
    ]


async def stock(visit: Visit, skus: Sequence[str]) -> dict[str, int]:
    """How many pieces can be had, by sku; nothing where that cannot be asked: placing the order will tell."""
    if not skus:
        return {}
    try:
        return await visit.client(Inventory).available(skus=tuple(skus), locations=visit.site.channel.locations)
    except Fault:
        return {}


async def is_short(visit: Visit, lines: Sequence[CartLine]) -> bool:
    """Whether there is less of anything than the cart wants."""
    left = await stock(visit, [line.sku for line in lines])
    return any(left.get(line.sku, line.quantity) < line.quantity for line in lines)


def _choices(quantity: int, left: int | None) -> tuple[int, ...]:
    most = min(MOST_CHOICES, LARGEST_QUANTITY if left is None else left)
    return tuple(sorted({*range(1, most + 1), quantity}))
