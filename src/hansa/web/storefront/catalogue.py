"""What the catalogue knows by now of things in carts and orders: their pictures, and the way to their pages."""

import asyncio
from collections.abc import Iterable

from hansa.kernel.errors import Fault
from hansa.services.products.contract import NoSuchProduct, Product, Products
from hansa.web.visit import Visit


async def products_of(visit: Visit, product_ids: Iterable[str]) -> dict[str, Product]:
    """By id. What is archived, or cannot be asked for right now, is left out: a line stands without its picture."""
    wanted = tuple(dict.fromkeys(product_ids))
    found = await asyncio.gather(*(_find(visit, product_id) for product_id in wanted))
    return {product_id: product for product_id, product in zip(wanted, found, strict=True) if product is not None}


async def _find(visit: Visit, product_id: str) -> Product | None:
    try:
        return await visit.client(Products).get(
            name=product_id, locale=visit.locale, currency=visit.currency, price_list=visit.site.channel.price_list
        )
    except (NoSuchProduct, Fault):
        return None
