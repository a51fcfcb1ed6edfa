"""The public routes of carts."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from hansa.kernel.address import Country, Destination
from hansa.kernel.money import Currency
from hansa.platform.http.errors import CurrencyUnknown
from hansa.platform.http.route import ANYONE, MEMBER, Api, Call, Route
from hansa.services.carts.contract import Cart, Carts, Count


class NewCart(msgspec.Struct, frozen=True, kw_only=True):
    """The currency is the request's, unless it is named here."""

    currency: Currency | None = None


class PutLine(msgspec.Struct, frozen=True, kw_only=True):
    """How many pieces the cart is to hold; 0 removes the line."""

    quantity: Count


class PutCurrency(msgspec.Struct, frozen=True, kw_only=True):
    """One of the shop's currencies."""

    currency: Currency


class Towards(msgspec.Struct, frozen=True, kw_only=True):
    """Where the goods would go and how; without a country the quote has neither tax nor shipping."""

    country: Country | None = None
    region: Annotated[str, msgspec.Meta(max_length=200)] = ""
    postal_code: Annotated[str, msgspec.Meta(max_length=20)] = ""
    delivery: Annotated[str, msgspec.Meta(min_length=1, max_length=40)] | None = None


def routes(carts: Carts) -> Sequence[Route]:
    api = Api("carts")

    @api.post("/carts", access=ANYONE, calls=Carts.create, errors=(CurrencyUnknown,))
    async def create_cart(call: Call, *, body: NewCart) -> Cart:
        """Make a cart. A guest's is named by what makes it theirs: keep the id to yourself."""
        currency = body.currency or call.currency
        _check_currency(call, currency)
        return await carts.create(key=call.key, member=call.user_id, currency=currency, locale=call.locale)

    @api.get("/carts/current", access=MEMBER, calls=(Carts.current, Carts.quote))
    async def current_cart(call: Call, *, query: Towards) -> Cart:
        """The open cart of whoever is signed in."""
        cart = await carts.current(member=call.user_id or "", locale=call.locale)
        return await _priced_towards(cart, query, call.locale)

    @api.get("/carts/{cart}", access=ANYONE, calls=(Carts.get, Carts.quote))
    async def get_cart(call: Call, *, cart: str, query: Towards) -> Cart:
        """A cart at present prices; with a destination, tax and shipping too."""
        found = await carts.get(cart=cart, member=call.user_id, locale=call.locale)
        return await _priced_towards(found, query, call.locale)

    @api.post("/carts/{cart}/claim", status=200, access=MEMBER, calls=Carts.claim)
    async def claim_cart(call: Call, *, cart: str) -> Cart:
        """Merge a guest's cart into the open one of whoever is signed in."""
        return await carts.claim(key=call.key, cart=cart, member=call.user_id or "", locale=call.locale)

    @api.put("/carts/{cart}/lines/{sku}", access=ANYONE, calls=Carts.put_line)
    async def put_line(call: Call, *, cart: str, sku: str, body: PutLine) -> Cart:
        """Set how many pieces of a sku the cart holds; 0 removes the line."""
        return await carts.put_line(
            key=call.key, cart=cart, member=call.user_id, sku=sku, quantity=body.quantity, locale=call.locale
        )

    @api.put("/carts/{cart}/currency", access=ANYONE, calls=Carts.set_currency, errors=(CurrencyUnknown,))
    async def put_cart_currency(call: Call, *, cart: str, body: PutCurrency) -> Cart:
        """Price the cart in another currency; what has no price in it is named in `unavailable`."""
        _check_currency(call, body.currency)
        return await carts.set_currency(
            key=call.key, cart=cart, member=call.user_id, currency=body.currency, locale=call.locale
        )

    async def _priced_towards(cart: Cart, towards: Towards, locale: str) -> Cart:
        lines = tuple(line for line in cart.lines if line.sku not in cart.unavailable)
        if towards.country is None or not lines:
            return cart
        quote = await carts.quote(
            lines=lines,
            currency=cart.currency,
            locale=locale,
            destination=Destination(country=towards.country, region=towards.region, postal_code=towards.postal_code),
            delivery=towards.delivery,
        )
        return msgspec.structs.replace(cart, quote=quote)

    return api.routes


def _check_currency(call: Call, currency: str) -> None:
    if currency not in call.channel.currencies:
        raise CurrencyUnknown(currencies=call.channel.currencies)
