"""Whose cart it is: found by the cookie or the account, made when something is first put into it."""

from contextlib import suppress

from hansa.services.carts.contract import Cart, CartClosed, Carts, NoSuchCart
from hansa.web.pages import CART
from hansa.web.visit import Visit

MOST_HOPS = 8
"""How often a cart may have gone on in another one since the visitor was here."""


async def find(visit: Visit) -> Cart | None:
    """The visitor's open cart, if there is one. A guest's that is still about when they have signed in becomes theirs;
    a cookie that leads nowhere any more is taken away."""
    who = visit.who
    guests = await _followed(visit, who.cart) if who.cart else None
    if who.member is None:
        if who.cart:
            remember(visit, guests)
        return guests
    if guests is not None:
        with suppress(NoSuchCart, CartClosed):
            await visit.client(Carts).claim(
                key=f"claim:{guests.id}:{who.member}", cart=guests.id, member=who.member, locale=visit.locale
            )
    if who.cart:
        remember(visit, None)
    try:
        return await visit.client(Carts).current(member=who.member, locale=visit.locale)
    except NoSuchCart:
        return None


async def hold(visit: Visit) -> Cart:
    """The visitor's open cart, made now if there is none, in the currency of the page."""
    if (cart := await find(visit)) is not None:
        return cart
    cart = await visit.client(Carts).create(
        key=visit.ids.token(), member=visit.who.member, currency=visit.currency, locale=visit.locale
    )
    if visit.who.member is None:
        remember(visit, cart)
    return cart


def remember(visit: Visit, cart: Cart | None) -> None:
    """Keep a guest's cart in their cookie for another while; None: forget it."""
    visit.who.cart = visit.who.cookies[CART] = cart.id if cart else ""


def pieces(cart: Cart | None) -> int:
    return sum(line.quantity for line in cart.lines) if cart else 0


async def _followed(visit: Visit, name: str) -> Cart | None:
    """The open cart of this name, or where it went on."""
    for _ in range(MOST_HOPS):
        try:
            cart = await visit.client(Carts).get(cart=name, member=visit.who.member, locale=visit.locale)
        except NoSuchCart:
            return None
        if cart.is_open:
            return cart
        if cart.successor is None:
            return None
        name = cart.successor
    return None
