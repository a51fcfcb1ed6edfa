"""Shoppers and staff in any order, over the whole shop with its real neighbours: pieces and money are conserved."""

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import audits
from tests.shops import OpenedShop, opened_shop, order_body

SKUS = ("HAT", "COAT")
TOKENS = ("tok_success", "tok_success", "tok_declined", "tok_late", "tok_twice")
STEPS = 24

buying = st.tuples(st.just("buy"), st.sampled_from(SKUS), st.integers(1, 4), st.sampled_from(TOKENS), st.integers(0, 3))
filling = st.tuples(st.just("fill"), st.sampled_from(SKUS), st.integers(0, 3))
ordering = st.tuples(st.just("order cart"), st.sampled_from(TOKENS))
cancelling = st.tuples(st.just("cancel"), st.integers(0, 30))
counting = st.tuples(st.just("count"), st.sampled_from(SKUS), st.integers(0, 12))
sending = st.tuples(st.just("send"), st.integers(0, 30))
refunding = st.tuples(st.just("refund"), st.integers(0, 30), st.integers(1, 3000))
at_once = st.tuples(st.just("at once"), st.lists(buying | cancelling, min_size=2, max_size=6))
steps = st.lists(
    buying | filling | ordering | cancelling | counting | sending | refunding | at_once, min_size=4, max_size=STEPS
)


class Day:
    """One day in the shop."""

    def __init__(self, shop: OpenedShop, staff: str) -> None:
        self.shop = shop
        self.staff = staff
        self.orders: list[str] = []
        self.cart = ""

    async def act(self, step: tuple[Any, ...]) -> None:
        status, answer = await self._acts(step)
        assert status < 500, (step, answer)
        assert status in (200, 201, 402, 409), (step, answer)

    async def _acts(self, step: tuple[Any, ...]) -> tuple[int, Any]:
        match step:
            case ("at once", several):
                async with asyncio.TaskGroup() as group:
                    for each in several:
                        group.create_task(self.act(each))
                return 200, None
            case ("buy", sku, quantity, token, key):
                body = order_body(sku, quantity=quantity, pay=token)
                return self.noted(await self.shop.request("POST", "/orders", body, key=f"{sku}{quantity}{token}{key}"))
            case ("fill", sku, quantity):
                if not self.cart:
                    self.cart = (await self.shop.request("POST", "/carts", {}))[1]["id"]
                return await self.shop.request("PUT", f"/carts/{self.cart}/lines/{sku}", {"quantity": quantity})
            case ("order cart", token) if self.cart:
                body = order_body("HAT", pay=token, cart_id=self.cart)
                del body["lines"]
                status, answer = self.noted(await self.shop.request("POST", "/orders", body))
                if status == 201:
                    self.cart = ""
                return (200, None) if answer.get("code") == "orders.cart_empty" else (status, answer)
            case ("cancel", number) if self.orders:
                return await self.shop.request("POST", f"/orders/{self.pick(number)}/cancel")
            case ("count", sku, pieces):
                return await self.shop.request("PUT", f"/admin/inventory/{sku}", {"on_hand": pieces}, token=self.staff)
            case ("send", number) if self.orders:
                return await self._staff(f"{self.pick(number)}/fulfilments", {})
            case ("refund", number, amount) if self.orders:
                return await self._staff(f"{self.pick(number)}/refunds", {"amount": amount})
        return 200, None

    async def _staff(self, path: str, body: Any) -> tuple[int, Any]:
        return await self.shop.request("POST", f"/admin/orders/{path}", body, token=self.staff)

    def noted(self, answer: tuple[int, Any]) -> tuple[int, Any]:
        if answer[0] == 201:
            self.orders.append(answer[1]["id"])
        return answer

    def pick(self, number: int) -> str:
        return self.orders[number % len(self.orders)]


async def live_through(day: list[tuple[Any, ...]], wire: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with opened_shop(folder=Path(folder) / "data", wire=wire) as shop:
            for sku in SKUS:
                await shop.put_product(sku, stock=6)
            shopping = Day(shop, await shop.staff())
            for step in day:
                await shopping.act(step)
            await audits.drained(shop.shop)
            await audits.everything_balances(shop.shop)


def run(act: Coroutine[Any, Any, None]) -> None:
    """On a loop of its own: Hypothesis calls from outside of any."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(act)
    finally:
        loop.close()


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(day=steps, wire=st.sampled_from(["local", "twice"]))
def test_whatever_shoppers_and_staff_do_pieces_and_money_are_conserved(day: list[tuple[Any, ...]], wire: str) -> None:
    run(live_through(day, wire))
