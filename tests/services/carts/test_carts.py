"""Filling, merging, ordering and pricing carts, by guests and by members, one at a time and many at once."""

import asyncio
import itertools

import pytest
from sqlalchemy import select

from hansa.kernel.address import Destination
from hansa.kernel.errors import IdempotencyKeyReused
from hansa.kernel.ids import slot_of, split_name
from hansa.kernel.money import Money
from hansa.platform.database.statement import Statement
from hansa.platform.messaging.port import Consumer
from hansa.platform.outbox.inbox import Inbox
from hansa.services.carts.consumers import consumers
from hansa.services.carts.contract import (
    LARGEST_QUANTITY,
    MOST_LINES,
    Cart,
    CartClosed,
    CartFull,
    CartLine,
    DeliveryNotOffered,
    NoSuchCart,
    NotForSale,
)
from hansa.services.carts.tables import CARTS, MEMBER_CARTS
from hansa.services.orders.events import OrderPlaced, SoldLine
from tests.services.carts.conftest import World
from tests.services.carts.neighbours import offer

ALL_CARTS = Statement(select(CARTS))
ALL_MEMBER_CARTS = Statement(select(MEMBER_CARTS))
ADA, GRACE = str(1 << 22 | 7 << 10), str(1 << 22 | 9 << 10)


KEYS = itertools.count()


async def guests_cart(world: World, *, key: str = "c1", currency: str = "USD") -> Cart:
    return await world.carts.create(key=key, member=None, currency=currency, locale="en")


async def members_cart(world: World, member: str = ADA, *, key: str = "m1", currency: str = "USD") -> Cart:
    return await world.carts.create(key=key, member=member, currency=currency, locale="en")


async def put(world: World, cart: Cart, sku: str, quantity: int, *, member: str | None = None, key: str = "") -> Cart:
    """Under a key of its own unless one is given."""
    key = key or f"p{next(KEYS)}"
    return await world.carts.put_line(key=key, cart=cart.id, member=member, sku=sku, quantity=quantity, locale="en")


async def claim(world: World, cart: Cart, *, member: str = ADA, key: str = "k1") -> Cart:
    return await world.carts.claim(key=key, cart=cart.id, member=member, locale="en")


# A cart's answer is the cart as it is now: while others change it, a call that is delivered twice sees it change. So
# those who race ask the service itself.
async def race_to_put(world: World, cart: Cart, sku: str, quantity: int = 1) -> Cart:
    return await world.service.put_line(
        key=f"{sku} {next(KEYS)}", cart=cart.id, member=ADA, sku=sku, quantity=quantity, locale="en"
    )


async def race_to_claim(world: World, cart: Cart, *, member: str = ADA, key: str = "k1") -> Cart:
    return await world.service.claim(key=key, cart=cart.id, member=member, locale="en")


async def order(world: World, cart: Cart, *, times: int = 1) -> None:
    """Let the event of an order of this cart, as it was when it was handed in, arrive."""
    cart_id = cart.id.partition("-")[0]
    async with world.database.write(slot_of(cart_id)) as tx:
        tx.emit(
            OrderPlaced(
                order_id=world.ids.new(slot=slot_of(cart_id)),
                number="1",
                cart_id=cart_id,
                lines=tuple(
                    SoldLine(
                        sku=line.sku,
                        product_id="4194304",
                        name=line.sku,
                        quantity=line.quantity,
                        unit_price=Money(0, "USD"),
                        total=Money(0, "USD"),
                        seller_id="shop",
                    )
                    for line in cart.lines
                ),
                subtotal=Money(0, "USD"),
                total=Money(0, "USD"),
                locale="en",
                person="",
                contact="",
            ),
            slot=slot_of(cart_id),
            aggregate=cart_id,
        )
    [consumer] = consumers(world.service)
    assert isinstance(consumer, Consumer)
    inbox = Inbox(database=world.database, consumer=consumer, clock=world.clock)
    for _ in range(times):
        await inbox.deliver(tx.events)


def held(cart: Cart) -> dict[str, int]:
    return {line.sku: line.quantity for line in cart.lines}


async def test_a_guests_cart_is_empty_open_and_named_by_a_secret(world: World):
    cart = await guests_cart(world)

    assert cart.lines == ()
    assert cart.is_open
    assert cart.quote.total == Money(0, "USD")
    name = split_name(cart.id)
    assert name is not None
    assert len(name[1]) == 16
    assert await world.carts.get(cart=cart.id, member=None, locale="en") == cart


async def test_the_same_key_makes_one_cart(world: World):
    carts = await asyncio.gather(*(guests_cart(world) for _ in range(6)))
    assert len({cart.id for cart in carts}) == 1
    assert len(await world.database.all(ALL_CARTS)) == 1
    assert (await guests_cart(world, key="c2")).id != carts[0].id


async def test_a_member_has_one_open_cart_however_many_are_made_at_once(world: World):
    carts = await asyncio.gather(*(members_cart(world, key=f"m{number}") for number in range(8)))

    assert len({cart.id for cart in carts}) == 1
    assert slot_of(carts[0].id) == slot_of(ADA)
    assert len(await world.database.all(ALL_CARTS)) == 1
    assert await world.carts.current(member=ADA, locale="en") == carts[0]


async def test_a_member_without_a_cart_has_none(world: World):
    with pytest.raises(NoSuchCart):
        await world.carts.current(member=ADA, locale="en")


async def test_nobody_else_sees_or_changes_a_cart(world: World):
    guests, members = await guests_cart(world), await members_cart(world)
    bare, secret = guests.id.split("-")
    strangers = [
        (bare, None),
        (bare, ADA),
        (f"{bare}-{secret[:-1]}", None),
        (f"{bare}-{secret}x", ADA),
        (members.id, None),
        (members.id, GRACE),
        (f"{members.id}-{secret}", ADA),
        ("1", None),
        ("", None),
        ("nonsense", ADA),
        ("9" * 30, None),
    ]
    for name, member in strangers:
        with pytest.raises(NoSuchCart):
            await world.carts.get(cart=name, member=member, locale="en")
        with pytest.raises(NoSuchCart):
            await world.carts.put_line(key="x", cart=name, member=member, sku="HAT", quantity=1, locale="en")
        with pytest.raises(NoSuchCart):
            await world.carts.basket(cart=name, member=member)
        if member is not None:
            with pytest.raises(NoSuchCart):
                await world.carts.claim(key="x", cart=name, member=member, locale="en")


async def test_quantities_are_absolute_and_nothing_removes_a_line(world: World):
    cart = await guests_cart(world)

    assert held(await put(world, cart, "HAT", 2)) == {"HAT": 2}
    assert held(await put(world, cart, "SHOE", 1)) == {"HAT": 2, "SHOE": 1}
    changed = await put(world, cart, "HAT", 5)
    assert [line.sku for line in changed.lines] == ["HAT", "SHOE"]
    assert changed.quote.total == Money(5 * 1999 + 4950, "USD")
    assert changed.version == 4
    assert await put(world, cart, "HAT", 5) == changed
    assert held(await put(world, cart, "HAT", 0)) == {"SHOE": 1}
    assert held(await put(world, cart, "UNKNOWN", 0)) == {"SHOE": 1}


async def test_puts_at_the_same_time_do_not_lose_each_other(world: World):
    cart = await members_cart(world)
    await asyncio.gather(*(race_to_put(world, cart, f"SKU-{number}", number + 1) for number in range(12)))

    found = await world.carts.current(member=ADA, locale="en")
    assert held(found) == {f"SKU-{number}": number + 1 for number in range(12)}
    assert found.version == 13
    assert found.unavailable == ()


async def test_a_cart_holds_only_so_many_lines_even_when_they_come_at_once(world: World):
    cart = await members_cart(world)
    outcomes = []
    for start in range(0, 110, 11):
        numbers = range(start, start + 11)
        outcomes += await asyncio.gather(
            *(race_to_put(world, cart, f"SKU-{number}") for number in numbers),
            return_exceptions=True,
        )

    assert sum(isinstance(outcome, Cart) for outcome in outcomes) == MOST_LINES
    assert sum(isinstance(outcome, CartFull) for outcome in outcomes) == 10
    full = await world.carts.current(member=ADA, locale="en")
    assert len(full.lines) == MOST_LINES
    assert held(await put(world, cart, full.lines[0].sku, 2, member=ADA))[full.lines[0].sku] == 2


async def test_only_what_is_for_sale_in_the_carts_currency_can_be_put(world: World):
    cart = await guests_cart(world, currency="EUR")
    for sku in ("SHOE", "UNKNOWN", ""):
        with pytest.raises(NotForSale) as refusal:
            await put(world, cart, sku, 1)
        assert refusal.value.fields() == {"sku": sku, "currency": "EUR"}
    assert held(await put(world, cart, "HAT", 1)) == {"HAT": 1}


async def test_what_is_no_longer_for_sale_stays_visible_and_costs_nothing(world: World):
    cart = await guests_cart(world)
    await put(world, cart, "HAT", 2)
    await put(world, cart, "SHOE", 1)
    del world.products.offers_now["SHOE", "USD"]

    found = await world.carts.get(cart=cart.id, member=None, locale="en")

    assert held(found) == {"HAT": 2, "SHOE": 1}
    assert found.unavailable == ("SHOE",)
    assert found.quote.total == Money(3998, "USD")
    assert held(await put(world, cart, "SHOE", 0)) == {"HAT": 2}


async def test_a_claimed_cart_is_merged_into_the_members_and_closed(world: World):
    guests, members = await guests_cart(world), await members_cart(world)
    await put(world, guests, "HAT", 2)
    await put(world, guests, "SHOE", LARGEST_QUANTITY)
    await put(world, members, "SHOE", 3, member=ADA)

    claimed = await claim(world, guests)

    assert claimed.id == members.id
    assert held(claimed) == {"SHOE": LARGEST_QUANTITY, "HAT": 2}
    assert await world.carts.current(member=ADA, locale="en") == claimed
    assert not (await world.carts.get(cart=guests.id, member=None, locale="en")).is_open
    with pytest.raises(CartClosed):
        await put(world, guests, "HAT", 1)
    with pytest.raises(CartClosed):
        await world.carts.basket(cart=guests.id, member=None)


async def test_claiming_again_changes_nothing_whatever_the_key(world: World):
    guests = await guests_cart(world)
    await put(world, guests, "HAT", 2)

    claims = await asyncio.gather(*(race_to_claim(world, guests, key=f"k{number // 2}") for number in range(8)))

    assert len({cart.id for cart in claims}) == 1
    assert held(await world.carts.current(member=ADA, locale="en")) == {"HAT": 2}


async def test_of_two_members_who_claim_a_cart_one_gets_it(world: World):
    guests = await guests_cart(world)
    await put(world, guests, "HAT", 2)

    outcomes = await asyncio.gather(
        race_to_claim(world, guests, member=ADA), race_to_claim(world, guests, member=GRACE), return_exceptions=True
    )

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Cart", "CartClosed"]
    assert len(await world.database.all(ALL_MEMBER_CARTS)) == 1


async def test_carts_claimed_at_once_by_one_member_are_all_merged(world: World):
    carts = [await guests_cart(world, key=f"c{number}") for number in range(6)]
    for cart in carts:
        await put(world, cart, "HAT", 1)

    await asyncio.gather(*(race_to_claim(world, cart, key=cart.id) for cart in carts))

    assert held(await world.carts.current(member=ADA, locale="en")) == {"HAT": 6}


async def test_an_empty_cart_takes_the_currency_of_what_is_merged_into_it(world: World):
    guests, _ = await guests_cart(world, currency="EUR"), await members_cart(world)
    await put(world, guests, "HAT", 1)
    claimed = await claim(world, guests)
    assert claimed.currency == "EUR"
    assert claimed.quote.total == Money(1899, "EUR")


async def test_claiming_the_own_cart_gives_it(world: World):
    members = await members_cart(world)
    assert await claim(world, members) == members


async def test_a_basket_says_what_is_ordered_and_by_whom(world: World):
    guests, members = await guests_cart(world), await members_cart(world)
    await put(world, guests, "HAT", 2)

    basket = await world.carts.basket(cart=guests.id, member=ADA)
    assert (basket.member, basket.currency) == (None, "USD")
    assert basket.lines == (CartLine(sku="HAT", quantity=2),)
    assert basket.slot == slot_of(basket.cart_id)
    assert basket.cart_id == guests.id.partition("-")[0]
    assert (await world.carts.basket(cart=members.id, member=ADA)).member == ADA


async def test_an_order_closes_its_cart_and_the_next_one_is_new(world: World):
    cart = await put(world, await members_cart(world), "HAT", 1, member=ADA)

    await order(world, cart, times=2)

    closed = await world.carts.get(cart=cart.id, member=ADA, locale="en")
    assert (closed.is_open, closed.successor, held(closed)) == (False, None, {"HAT": 1})
    with pytest.raises(CartClosed):
        await put(world, cart, "HAT", 2, member=ADA)
    with pytest.raises(CartClosed):
        await world.carts.basket(cart=cart.id, member=ADA)
    with pytest.raises(CartClosed):
        await claim(world, cart)
    with pytest.raises(NoSuchCart):
        await world.carts.current(member=ADA, locale="en")
    fresh = await members_cart(world, key="m2")
    assert fresh.id != cart.id
    assert fresh.lines == ()

    await order(world, cart)
    assert (await world.carts.current(member=ADA, locale="en")).id == fresh.id


async def test_an_ordered_guests_cart_can_be_claimed_by_nobody(world: World):
    cart = await put(world, await guests_cart(world), "HAT", 1)
    await order(world, cart)
    with pytest.raises(CartClosed):
        await claim(world, cart)


async def test_what_came_too_late_for_a_members_order_is_in_their_next_cart(world: World):
    cart = await put(world, await members_cart(world), "HAT", 2, member=ADA)
    cart = await put(world, cart, "SKU-1", 1, member=ADA)
    await put(world, cart, "HAT", 5, member=ADA)
    await put(world, cart, "SKU-1", 0, member=ADA)
    await put(world, cart, "SHOE", 1, member=ADA)

    await order(world, cart, times=2)

    following = await world.carts.current(member=ADA, locale="en")
    assert held(following) == {"HAT": 3, "SHOE": 1}
    assert [line.sku for line in following.lines] == ["HAT", "SHOE"]
    assert following.is_open
    assert slot_of(following.id) == slot_of(ADA)
    closed = await world.carts.get(cart=cart.id, member=ADA, locale="en")
    assert (closed.is_open, closed.successor) == (False, following.id)
    assert len(await world.database.all(ALL_CARTS)) == 2
    assert await members_cart(world, key="m2") == following

    await order(world, following)
    with pytest.raises(NoSuchCart):
        await world.carts.current(member=ADA, locale="en")


async def test_what_came_too_late_for_a_guests_order_is_in_the_cart_that_the_old_one_names(world: World):
    cart = await put(world, await guests_cart(world, currency="EUR"), "HAT", 1)
    await put(world, cart, "HAT", 2)
    await order(world, cart)

    closed = await world.carts.get(cart=cart.id, member=None, locale="en")
    assert closed.successor is not None
    assert closed.successor != cart.id
    following = await world.carts.get(cart=closed.successor, member=None, locale="en")

    assert not closed.is_open
    assert (following.is_open, following.currency, held(following)) == (True, "EUR", {"HAT": 1})
    with pytest.raises(CartClosed):
        await put(world, cart, "HAT", 3)
    assert held(await put(world, following, "HAT", 3)) == {"HAT": 3}
    assert (await world.carts.basket(cart=following.id, member=None)).cart_id == following.id.partition("-")[0]
    with pytest.raises(NoSuchCart):
        await world.carts.get(cart=following.id.partition("-")[0], member=None, locale="en")
    assert held(await claim(world, following)) == {"HAT": 3}


async def test_what_is_claimed_while_the_members_cart_is_being_ordered_is_kept_too(world: World):
    members = await put(world, await members_cart(world), "HAT", 1, member=ADA)
    guests = await put(world, await guests_cart(world), "SHOE", 2)

    merged = await claim(world, guests)
    await order(world, members)

    assert merged.id == members.id
    assert (await world.carts.get(cart=guests.id, member=None, locale="en")).successor == members.id
    assert held(await world.carts.current(member=ADA, locale="en")) == {"SHOE": 2}


async def test_nothing_acknowledged_is_lost_when_an_order_comes_at_the_same_time(world: World):
    cart = await put(world, await members_cart(world), "HAT", 1, member=ADA)
    skus = [f"SKU-{number}" for number in range(8)]

    outcomes = await asyncio.gather(
        *(race_to_put(world, cart, sku) for sku in skus[:4]),
        order(world, cart),
        *(race_to_put(world, cart, sku) for sku in skus[4:]),
        world.service.create(key="n", member=ADA, currency="USD", locale="en"),
        return_exceptions=True,
    )

    assert all(isinstance(outcome, (Cart, CartClosed, type(None))) for outcome in outcomes), outcomes
    put_outcomes = [*outcomes[:4], *outcomes[5:9]]
    acknowledged = {sku for sku, outcome in zip(skus, put_outcomes, strict=True) if isinstance(outcome, Cart)}
    following = await members_cart(world, key="m2")
    assert set(held(following)) == acknowledged


async def test_orders_puts_and_claims_at_once_leave_every_member_with_at_most_one_open_cart(world: World):
    for turn in range(3):
        members = await members_cart(world, key=f"m{turn}")
        guests = await guests_cart(world, key=f"c{turn}")
        await put(world, guests, "HAT", 1, key=f"g{turn}")
        outcomes = await asyncio.gather(
            order(world, members),
            race_to_claim(world, guests),
            race_to_put(world, members, "SHOE"),
            world.service.create(key=f"n{turn}", member=ADA, currency="USD", locale="en"),
            return_exceptions=True,
        )

        assert all(isinstance(outcome, (Cart, CartClosed, type(None))) for outcome in outcomes), outcomes
        carts = await world.database.all(ALL_CARTS)
        open_carts = {row["cart_id"] for row in carts if row["is_open"] and row["member"] == int(ADA)}
        named = {row["cart_id"] for row in await world.database.all(ALL_MEMBER_CARTS)}
        assert open_carts == named
        assert len(named) <= 1


async def test_a_quote_names_the_cheapest_delivery_or_the_one_asked_for(world: World):
    lines = (CartLine(sku="HAT", quantity=1), CartLine(sku="HAT", quantity=1))
    there = Destination(country="US", region="NY")

    cheapest = await world.carts.quote(lines=lines, currency="USD", locale="en", destination=there)
    express = await world.carts.quote(lines=lines, currency="USD", locale="en", destination=there, delivery="express")

    assert [line.quantity for line in cheapest.lines] == [2]
    assert (cheapest.delivery, cheapest.total) == ("parcel", Money(3998 + 160 + 500 + 20, "USD"))
    assert (express.delivery, express.total) == ("express", Money(3998 + 160 + 1500 + 60, "USD"))
    assert cheapest.is_final
    assert cheapest.fingerprint != express.fingerprint


async def test_prices_with_tax_stay_what_they_are(world: World):
    lines = (CartLine(sku="HAT", quantity=1),)
    quote = await world.carts.quote(lines=lines, currency="EUR", locale="en", destination=Destination(country="DE"))
    assert quote.total == Money(1899 + 490, "EUR")
    assert [one.amount.amount for one in quote.adjustments] == [303, 490, 78]


@pytest.mark.parametrize(
    ("destination", "delivery"),
    [
        (Destination(country="AQ"), None),
        (Destination(country="DE"), None),
        (Destination(country="US"), "drone"),
    ],
)
async def test_what_is_not_delivered_there_has_no_quote(world: World, destination: Destination, delivery: str | None):
    with pytest.raises(DeliveryNotOffered) as refusal:
        await world.carts.quote(
            lines=(CartLine(sku="HAT", quantity=1),),
            currency="USD",
            locale="en",
            destination=destination,
            delivery=delivery,
        )
    assert refusal.value.country == destination.country


async def test_what_is_not_for_sale_has_no_quote(world: World):
    lines = (CartLine(sku="HAT", quantity=1), CartLine(sku="GONE", quantity=1))
    with pytest.raises(NotForSale) as refusal:
        await world.carts.quote(lines=lines, currency="USD", locale="en")
    assert refusal.value.sku == "GONE"


async def test_the_quote_of_a_cart_changes_with_its_prices(world: World):
    cart = await guests_cart(world)
    before = await put(world, cart, "HAT", 1)
    world.products.offers_now["HAT", "USD"] = offer("HAT", 2999)
    after = await world.carts.get(cart=cart.id, member=None, locale="en")
    assert after.quote.total == Money(2999, "USD")
    assert after.quote.fingerprint != before.quote.fingerprint


async def test_a_repetition_that_comes_late_does_not_undo_what_came_after(world: World):
    cart = await guests_cart(world)
    await put(world, cart, "HAT", 3, key="first")
    await put(world, cart, "HAT", 4, key="second")

    late = await put(world, cart, "HAT", 3, key="first")

    assert held(late) == {"HAT": 4}
    with pytest.raises(IdempotencyKeyReused):
        await put(world, cart, "HAT", 5, key="first")
    assert held(await world.carts.get(cart=cart.id, member=None, locale="en")) == {"HAT": 4}


async def test_a_key_stands_for_a_line_of_one_cart(world: World):
    """A member's carts share a slot."""
    cart = await members_cart(world)
    await put(world, cart, "HAT", 3, member=ADA, key="first")
    await order(world, cart)
    following = await members_cart(world, key="m2")

    with pytest.raises(IdempotencyKeyReused):
        await put(world, following, "HAT", 3, member=ADA, key="first")


async def test_a_refused_line_stays_refused_though_it_could_be_put_by_now(world: World):
    """A copy of the call that comes late must not do what its sender was told is not done."""
    cart = await guests_cart(world)
    with pytest.raises(NotForSale):
        await put(world, cart, "CAPE", 2, key="first")
    world.products.offers_now["CAPE", "USD"] = offer("CAPE", 900)

    with pytest.raises(NotForSale):
        await put(world, cart, "CAPE", 2, key="first")

    assert held(await world.carts.get(cart=cart.id, member=None, locale="en")) == {}
    assert held(await put(world, cart, "CAPE", 2, key="second")) == {"CAPE": 2}
