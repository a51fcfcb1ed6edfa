"""Switching the currency of a cart: other prices, the same lines, and nothing mixed."""

import asyncio

import pytest

from hansa.kernel.errors import BusinessError
from hansa.kernel.money import Money
from hansa.platform.http.errors import CurrencyUnknown
from hansa.services.carts.api import PutCurrency
from hansa.services.carts.contract import Cart, CartClosed, NoSuchCart, NotForSale
from tests.services.carts.conftest import World
from tests.services.carts.test_api import ask, call
from tests.services.carts.test_carts import ADA, GRACE, guests_cart, held, members_cart, order, put


async def switch(
    world: World, cart: Cart, currency: str, *, member: str | None = None, key: str = "w1", name: str | None = None
) -> Cart:
    return await world.carts.set_currency(key=key, cart=name or cart.id, member=member, currency=currency, locale="en")


async def test_the_lines_stay_and_are_priced_in_the_other_currency(world: World):
    cart = await put(world, await guests_cart(world), "HAT", 2)

    switched = await switch(world, cart, "EUR")

    assert (switched.id, switched.currency, held(switched)) == (cart.id, "EUR", {"HAT": 2})
    assert switched.quote.total == Money(3798, "EUR")
    assert switched.quote.fingerprint != cart.quote.fingerprint
    assert await world.carts.get(cart=cart.id, member=None, locale="en") == switched
    assert (await world.carts.basket(cart=cart.id, member=None)).currency == "EUR"


async def test_what_has_no_price_there_is_named_and_comes_back_with_the_currency(world: World):
    cart = await guests_cart(world)
    for sku in ("HAT", "SHOE"):
        cart = await put(world, cart, sku, 1)

    away = await switch(world, cart, "EUR")
    back = await switch(world, cart, "USD", key="w2")

    assert (away.unavailable, away.quote.total, held(away)) == (("SHOE",), Money(1899, "EUR"), held(cart))
    assert (back.unavailable, back.quote) == ((), cart.quote)


async def test_a_currency_without_any_price_leaves_a_cart_of_unavailable_lines(world: World):
    cart = await put(world, await guests_cart(world), "HAT", 1)
    switched = await switch(world, cart, "JPY")
    assert (switched.unavailable, switched.quote.total) == (("HAT",), Money(0, "JPY"))


async def test_the_same_currency_again_is_no_change(world: World):
    cart = await put(world, await guests_cart(world), "HAT", 1)
    assert await switch(world, cart, "USD") == cart


async def test_a_line_is_put_in_the_carts_own_currency_from_then_on(world: World):
    cart = await guests_cart(world)
    await switch(world, cart, "EUR")

    assert (await put(world, cart, "HAT", 1)).quote.total == Money(1899, "EUR")
    with pytest.raises(NotForSale) as refusal:
        await put(world, cart, "SHOE", 1)
    assert refusal.value.currency == "EUR"


async def test_somebody_elses_cart_keeps_its_currency(world: World):
    mine, guests = await members_cart(world), await guests_cart(world)
    bare = guests.id.partition("-")[0]

    for stranger in (GRACE, None):
        with pytest.raises(NoSuchCart):
            await switch(world, mine, "EUR", member=stranger)
    for name in (bare, f"{bare}-{'a' * 16}", "x", "1", "9" * 30):
        with pytest.raises(NoSuchCart):
            await switch(world, guests, "EUR", member=ADA, name=name)
    assert (await switch(world, mine, "EUR", member=ADA)).currency == "EUR"


async def test_an_ordered_cart_keeps_its_currency(world: World):
    cart = await put(world, await guests_cart(world), "HAT", 1)
    await order(world, cart)

    with pytest.raises(CartClosed):
        await switch(world, cart, "EUR")
    assert (await world.carts.get(cart=cart.id, member=None, locale="en")).currency == "USD"


async def test_whoever_switches_and_puts_at_once_never_sees_two_currencies_in_one_cart(world: World):
    cart = await put(world, await members_cart(world), "HAT", 1, member=ADA)
    skus = [f"SKU-{number}" for number in range(4)]

    answers = await asyncio.gather(
        *(world.service.put_line(key=sku, cart=cart.id, member=ADA, sku=sku, quantity=1, locale="en") for sku in skus),
        *(
            world.service.set_currency(key=currency, cart=cart.id, member=ADA, currency=currency, locale="en")
            for currency in ("EUR", "USD", "EUR")
        ),
        return_exceptions=True,
    )

    for answer in answers:
        if not isinstance(answer, Cart):
            assert isinstance(answer, BusinessError), answer
            continue
        currencies = {line.unit_price.currency for line in answer.quote.lines} | {answer.quote.total.currency}
        assert currencies == {answer.currency}


async def test_a_price_that_was_asked_for_before_the_switch_is_not_shown_after_it(world: World):
    """The switch comes between the moment in which a line's price is asked for and that in which the line is put."""
    cart = await put(world, await guests_cart(world), "HAT", 1)
    ask_for_offers = world.products.offers

    async def offers_and_a_switch(**wanted: object) -> object:
        found = await ask_for_offers(**wanted)  # type: ignore[arg-type]
        world.products.offers = ask_for_offers  # type: ignore[method-assign]
        await world.service.set_currency(key="w1", cart=cart.id, member=None, currency="EUR", locale="en")
        return found

    world.products.offers = offers_and_a_switch  # type: ignore[method-assign, assignment]
    put_meanwhile = await world.service.put_line(
        key="p9", cart=cart.id, member=None, sku="HAT", quantity=3, locale="en"
    )

    assert (put_meanwhile.currency, put_meanwhile.quote.total) == ("EUR", Money(3 * 1899, "EUR"))


async def test_the_route_takes_the_shops_currencies_only(world: World):
    cart = await guests_cart(world)

    switched = await ask(world, "put_cart_currency", call(key="a"), cart=cart.id, body=PutCurrency(currency="EUR"))
    with pytest.raises(CurrencyUnknown):
        await ask(world, "put_cart_currency", call(key="b"), cart=cart.id, body=PutCurrency(currency="JPY"))

    assert switched.currency == "EUR"
