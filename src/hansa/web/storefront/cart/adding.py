"""Putting things into the cart: never more than can be had, and in the currency of the page they were chosen on."""

from dataclasses import dataclass
from typing import Literal

from hansa.services.carts.contract import LARGEST_QUANTITY, Cart, CartClosed, CartFull, Carts, NotForSale
from hansa.services.products.contract import Products
from hansa.web.storefront.cart import basket
from hansa.web.storefront.cart.lines import stock
from hansa.web.visit import Visit

MOST_TRIES = 3
"""A cart may become an order while something is being put into it; then it goes on in another one."""
LONGEST_SKU = 64
Result = Literal[
    "added",
    "limited",
    "changed",
    "has_all",
    "sold_out",
    "not_for_sale",
    "full",
    "nothing_chosen",
    "quantity_wrong",
]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of it. `left` pieces can be had of what was asked for, where that was the matter."""

    result: Result
    name: str = ""
    left: int = 0
    cart: Cart | None = None

    @property
    def is_good(self) -> bool:
        return self.result in ("added", "limited", "changed")


async def add(visit: Visit, *, sku: str, quantity: int | None) -> Outcome:
    """So many pieces more. Of fewer that are left, those are taken."""
    if not sku:
        return Outcome(result="nothing_chosen")
    offer = None
    if len(sku) <= LONGEST_SKU:
        offers = await visit.client(Products).offers(
            skus=(sku,), locale=visit.locale, currency=visit.currency, price_list=visit.site.channel.price_list
        )
        offer = next(iter(offers), None)
    if offer is None:
        return Outcome(result="not_for_sale")
    if quantity is None or quantity < 1:
        return Outcome(result="quantity_wrong", name=offer.name)
    left = min((await stock(visit, [sku])).get(sku, LARGEST_QUANTITY), LARGEST_QUANTITY)
    if left < 1:
        return Outcome(result="sold_out", name=offer.name)
    for attempt in range(MOST_TRIES):
        try:
            return await _put(visit, sku=sku, name=offer.name, quantity=quantity, left=left)
        except CartClosed:
            if attempt == MOST_TRIES - 1:
                raise
        except CartFull:
            return Outcome(result="full", name=offer.name)
        except NotForSale:
            return Outcome(result="not_for_sale", name=offer.name)
    raise AssertionError("unreachable")


async def _put(visit: Visit, *, sku: str, name: str, quantity: int, left: int) -> Outcome:
    carts, member = visit.client(Carts), visit.who.member
    cart = await basket.hold(visit)
    if cart.currency != visit.currency:
        cart = await carts.set_currency(
            key=visit.ids.token(), cart=cart.id, member=member, currency=visit.currency, locale=visit.locale
        )
    has = next((line.quantity for line in cart.lines if line.sku == sku), 0)
    if has >= left:
        return Outcome(result="has_all", name=name, left=left, cart=cart)
    wanted = min(has + quantity, left)
    cart = await carts.put_line(
        key=visit.ids.token(), cart=cart.id, member=member, sku=sku, quantity=wanted, locale=visit.locale
    )
    if member is None:
        basket.remember(visit, cart)
    return Outcome(result="limited" if wanted < has + quantity else "added", name=name, left=left, cart=cart)


async def change(visit: Visit, *, sku: str, quantity: int | None) -> Outcome:
    """So many pieces of what is in the cart; 0 removes it. What is not there any more is not put back."""
    cart = await basket.find(visit)
    line = next((line for line in cart.lines if line.sku == sku), None) if cart else None
    if cart is None or line is None:
        return Outcome(result="changed", cart=cart)
    if quantity is None or quantity < 0:
        return Outcome(result="quantity_wrong", cart=cart)
    left = min((await stock(visit, [sku])).get(sku, LARGEST_QUANTITY), LARGEST_QUANTITY)
    wanted = (
        min(quantity, left) if left > 0 else quantity
    )  # of what is sold out the page says so, and lets it be removed
    try:
        cart = await visit.client(Carts).put_line(
            key=visit.ids.token(),
            cart=cart.id,
            member=visit.who.member,
            sku=sku,
            quantity=wanted,
            locale=visit.locale,
        )
    except CartClosed:
        return Outcome(result="changed", cart=await basket.find(visit))
    except NotForSale:
        return Outcome(result="not_for_sale", cart=cart)
    if visit.who.member is None:
        basket.remember(visit, cart)
    return Outcome(result="limited" if wanted < quantity else "changed", left=left, cart=cart)
