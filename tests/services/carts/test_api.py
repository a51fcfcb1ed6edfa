"""The public routes of carts, handed their requests."""

from typing import Any

import pytest

from hansa.kernel.channel import Channel
from hansa.kernel.money import Money
from hansa.kernel.principal import Principal
from hansa.platform.http.errors import CurrencyUnknown
from hansa.platform.http.route import Call
from hansa.services.carts import api
from hansa.services.carts.api import NewCart, PutLine, Towards
from tests.services.carts.conftest import World
from tests.services.carts.test_carts import ADA

SHOP = Channel(currencies=("USD", "EUR"))


def call(*, key: str, member: str | None = None, currency: str = "USD") -> Call:
    return Call(
        principal=Principal(member) if member else None,
        channel=SHOP,
        locale="en",
        currency=currency,
        key=key,
        version=None,
        remote="192.0.2.1",
        token="",
        headers={},
        correlation="",
    )


async def ask(world: World, route: str, request: Call, **arguments: Any) -> Any:
    handlers = {one.name: one.handler for one in api.routes(world.carts)}
    return await handlers[route](request, **arguments)


def test_the_current_cart_is_found_before_carts_by_name(world: World):
    paths = [one.path for one in api.routes(world.carts) if one.verb == "GET"]
    assert paths == ["/api/v1/carts/current", "/api/v1/carts/{cart}"]


async def test_a_guest_fills_a_cart_sees_what_it_costs_there_and_takes_it_along(world: World):
    cart = await ask(world, "create_cart", call(key="a"), body=NewCart())
    await ask(world, "put_line", call(key="b"), cart=cart.id, sku="HAT", body=PutLine(quantity=2))

    plain = await ask(world, "get_cart", call(key="c"), cart=cart.id, query=Towards())
    towards = Towards(country="US", region="CA", delivery="express")
    priced = await ask(world, "get_cart", call(key="d"), cart=cart.id, query=towards)
    claimed = await ask(world, "claim_cart", call(key="e", member=ADA), cart=cart.id)
    current = await ask(world, "current_cart", call(key="f", member=ADA), query=towards)

    assert plain.quote.total == Money(3998, "USD")
    assert priced.quote.total == Money(3998 + 290 + 1500, "USD")
    assert claimed.lines == plain.lines
    assert (current.id, current.quote) == (claimed.id, priced.quote)


async def test_a_cart_is_in_a_currency_of_the_shop(world: World):
    assert (await ask(world, "create_cart", call(key="a", currency="EUR"), body=NewCart())).currency == "EUR"
    assert (await ask(world, "create_cart", call(key="b"), body=NewCart(currency="EUR"))).currency == "EUR"
    with pytest.raises(CurrencyUnknown) as refusal:
        await ask(world, "create_cart", call(key="c"), body=NewCart(currency="XAU"))
    assert refusal.value.currencies == SHOP.currencies
