"""Nothing that was acknowledged leaves a cart, in whatever order two who write to it meet."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import Any

import pytest

from hansa.kernel.ids import slot_of
from hansa.platform.database.port import Database
from hansa.services.carts.contract import Cart, CartClosed, CartLine
from hansa.services.carts.manifest import TAXES
from hansa.services.carts.rules import read_taxes
from hansa.services.carts.service import CartsService
from hansa.services.carts.store import KeptCart, find, find_of_member
from tests.isolation.ground import Ground
from tests.isolation.stepping import Explored, Scene, explore
from tests.services.carts.neighbours import ProductsStandIn, ShippingStandIn, offer

KEYS = itertools.count()
"""What is put is put under a key of its own."""


class Shop:
    """Carts of one process that prepares, and of two that meet."""

    def __init__(self, ground: Ground, doors: Sequence[Database]) -> None:
        self.ground, self.doors, self.database = ground, doors, doors[0]
        products = ProductsStandIn(offer("HAT", 1999), offer("SHOE", 4950))
        self.one, self.two, self.three = [
            CartsService(
                database=door,
                clock=ground.clock,
                ids=ids,
                products=products,  # type: ignore[arg-type]  # only what carts ask
                shipping=ShippingStandIn({}),  # type: ignore[arg-type]
                taxes=read_taxes(TAXES.read_text(encoding="utf-8")),
            )
            for door, ids in zip(doors, ground.ids_of_all, strict=True)
        ]
        self.made = 0

    def member(self) -> str:
        self.made += 1
        return self.ground.ids.new(slot=self.made)

    async def cart(self, member: str | None, **pieces: int) -> Cart:
        """An open cart, a guest's without a member."""
        self.made += 1
        cart = await self.create(self.one, member, key=f"{self.ground.day} {self.made}")
        for sku, quantity in pieces.items():
            await self.put(self.one, cart, member, sku, quantity)
        return cart

    def create(self, carts: CartsService, member: str | None, *, key: str) -> Awaitable[Cart]:
        return carts.create(key=key, member=member, currency="USD", locale="en")

    def put(self, carts: CartsService, cart: Cart, member: str | None, sku: str, quantity: int) -> Awaitable[Cart]:
        key = f"put {next(KEYS)}"
        return carts.put_line(key=key, cart=cart.id, member=member, sku=sku, quantity=quantity, locale="en")

    def claim(self, carts: CartsService, cart: Cart, member: str) -> Awaitable[Cart]:
        return carts.claim(key="k", cart=cart.id, member=member, locale="en")

    async def close(self, number: int, carts: CartsService, cart: Cart, ordered: Mapping[str, int]) -> None:
        """It became an order of these pieces, heard within a transaction of the process of that number."""
        lines = [CartLine(sku=sku, quantity=quantity) for sku, quantity in ordered.items()]
        cart_id = _bare(cart)
        async with self.doors[number].write(slot_of(cart_id)) as tx:
            await carts.close(tx, ordered={cart_id: lines})

    async def kept(self, cart: Cart | str) -> KeptCart:
        found = await find(self.database, cart_id=cart if isinstance(cart, str) else _bare(cart))
        assert found is not None
        return found

    async def explore(self, prepare: Any, *, switches: int = 1) -> Explored:
        return await explore(self.ground.stage, prepare, switches=switches)


def _bare(cart: Cart) -> str:
    return cart.id.partition("-")[0]


def _pieces(kept: KeptCart | None) -> dict[str, int]:
    return {line.sku: line.quantity for line in kept.lines} if kept else {}


@pytest.fixture
async def shop(ground: Ground) -> AsyncIterator[Shop]:
    async with ground.database("carts") as database:
        yield Shop(ground, (database, *ground.stepped(database)))


async def test_two_lines_put_at_once_are_both_in_the_cart(shop: Shop) -> None:
    async def prepare() -> Scene:
        cart = await shop.cart(None)

        async def check(first: Any, second: Any) -> None:
            kept = await shop.kept(cart)
            assert _pieces(kept) == {"HAT": 2, "SHOE": 1}
            assert sorted([first.version, second.version]) == [2, 3], "each change is counted"
            assert kept.version == 3

        return Scene(
            (
                lambda: shop.put(shop.two, cart, None, "HAT", 2),
                lambda: shop.put(shop.three, cart, None, "SHOE", 1),
            ),
            check,
        )

    await shop.explore(prepare, switches=2)


async def test_of_two_quantities_of_one_line_the_last_one_acknowledged_stays(shop: Shop) -> None:
    async def prepare() -> Scene:
        cart = await shop.cart(None, HAT=1)

        async def check(*outcomes: Any) -> None:
            last = max(outcomes, key=lambda shown: shown.version)
            assert _pieces(await shop.kept(cart)) == {line.sku: line.quantity for line in last.lines}
            assert [shown.version for shown in sorted(outcomes, key=lambda shown: shown.version)] == [3, 4]

        return Scene(
            (
                lambda: shop.put(shop.two, cart, None, "HAT", 2),
                lambda: shop.put(shop.three, cart, None, "HAT", 0),
            ),
            check,
        )

    await shop.explore(prepare)


async def test_a_line_put_while_the_cart_is_claimed_comes_along_or_is_refused(shop: Shop) -> None:
    async def prepare() -> Scene:
        member, cart = shop.member(), await shop.cart(None, HAT=1)

        async def check(claimed: Any, put: Any) -> None:
            assert isinstance(claimed, Cart)
            expected = {"HAT": 1} if isinstance(put, CartClosed) else {"HAT": 1, "SHOE": 1}
            assert _pieces(await find_of_member(shop.database, member=member)) == expected
            assert not (await shop.kept(cart)).is_open

        return Scene(
            (lambda: shop.claim(shop.two, cart, member), lambda: shop.put(shop.three, cart, None, "SHOE", 1)), check
        )

    explored = await shop.explore(prepare)
    assert len(explored.outcomes) == 2


async def test_a_cart_claimed_twice_is_merged_once(shop: Shop) -> None:
    async def prepare() -> Scene:
        member, cart = shop.member(), await shop.cart(None, HAT=1)
        await shop.cart(member, HAT=2)

        async def check(first: Any, second: Any) -> None:
            assert first.id == second.id
            assert _pieces(await find_of_member(shop.database, member=member)) == {"HAT": 3}

        return Scene((lambda: shop.claim(shop.two, cart, member), lambda: shop.claim(shop.three, cart, member)), check)

    await shop.explore(prepare)


async def test_a_cart_claimed_by_two_members_goes_to_one(shop: Shop) -> None:
    async def prepare() -> Scene:
        members, cart = [shop.member(), shop.member()], await shop.cart(None, HAT=1)

        async def check(*outcomes: Any) -> None:
            assert {type(outcome) for outcome in outcomes} == {Cart, CartClosed}
            pieces = [_pieces(await find_of_member(shop.database, member=member)) for member in members]
            assert sorted(pieces, key=len) == [{}, {"HAT": 1}]

        return Scene(
            (lambda: shop.claim(shop.two, cart, members[0]), lambda: shop.claim(shop.three, cart, members[1])), check
        )

    explored = await shop.explore(prepare)
    assert len(explored.outcomes) == 2


async def test_two_carts_claimed_at_once_are_both_in_the_members_one(shop: Shop) -> None:
    async def prepare() -> Scene:
        member = shop.member()
        carts = [await shop.cart(None, HAT=1), await shop.cart(None, HAT=1, SHOE=1)]

        async def check(*outcomes: Any) -> None:
            assert outcomes[0].id == outcomes[1].id
            assert _pieces(await find_of_member(shop.database, member=member)) == {"HAT": 2, "SHOE": 1}

        return Scene(
            (lambda: shop.claim(shop.two, carts[0], member), lambda: shop.claim(shop.three, carts[1], member)), check
        )

    await shop.explore(prepare)


@pytest.mark.parametrize("is_member", [True, False], ids=["member", "guest"])
async def test_a_line_put_while_the_order_closes_the_cart_goes_on_in_the_next_or_is_refused(
    shop: Shop, is_member: bool
) -> None:
    async def prepare() -> Scene:
        member = shop.member() if is_member else None
        cart = await shop.cart(member, HAT=1)

        async def check(_: Any, put: Any) -> None:
            kept = await shop.kept(cart)
            assert not kept.is_open
            if isinstance(put, CartClosed):
                assert kept.continued_in is None
            else:
                assert kept.continued_in is not None
                assert _pieces(await shop.kept(kept.continued_in)) == {"SHOE": 1}
            if member is not None:
                current = await find_of_member(shop.database, member=member)
                assert (current and current.cart_id) == kept.continued_in

        return Scene(
            (
                lambda: shop.close(1, shop.two, cart, {"HAT": 1}),
                lambda: shop.put(shop.three, cart, member, "SHOE", 1),
            ),
            check,
        )

    explored = await shop.explore(prepare)
    assert len(explored.outcomes) == 2


async def test_a_cart_claimed_while_its_order_closes_it_is_not_bought_twice(shop: Shop) -> None:
    async def prepare() -> Scene:
        member, cart = shop.member(), await shop.cart(None, HAT=1)

        async def check(_: Any, claimed: Any) -> None:
            kept = await shop.kept(cart)
            assert not kept.is_open
            assert isinstance(claimed, CartClosed) == (kept.merged_into is None)
            assert kept.continued_in is None

        return Scene(
            (
                lambda: shop.close(1, shop.two, cart, {"HAT": 1}),
                lambda: shop.claim(shop.three, cart, member),
            ),
            check,
        )

    explored = await shop.explore(prepare)
    assert len(explored.outcomes) == 2


async def test_what_is_claimed_into_a_cart_that_an_order_closes_is_not_lost(shop: Shop) -> None:
    async def prepare() -> Scene:
        member, cart = shop.member(), await shop.cart(None, SHOE=1)
        own = await shop.cart(member, HAT=1)

        async def check(_: Any, claimed: Any) -> None:
            assert isinstance(claimed, Cart)
            assert not (await shop.kept(own)).is_open
            assert _pieces(await find_of_member(shop.database, member=member)) == {"SHOE": 1}

        return Scene(
            (
                lambda: shop.close(1, shop.two, own, {"HAT": 1}),
                lambda: shop.claim(shop.three, cart, member),
            ),
            check,
        )

    await shop.explore(prepare)


@pytest.mark.parametrize("is_member", [True, False], ids=["member", "guest"])
async def test_a_cart_asked_for_twice_at_once_is_one_cart(shop: Shop, is_member: bool) -> None:
    async def prepare() -> Scene:
        member, key = shop.member() if is_member else None, f"{shop.ground.day} twice {shop.made}"
        shop.made += 1

        async def check(first: Any, second: Any) -> None:
            assert first.id == second.id

        return Scene(
            (lambda: shop.create(shop.two, member, key=key), lambda: shop.create(shop.three, member, key=key)), check
        )

    await shop.explore(prepare, switches=2)
