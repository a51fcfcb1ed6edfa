"""What comes very late, with everybody's real neighbours: a shop that was down for hours, a provider's late no."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from hansa.compose import compose
from hansa.compose.shop import Shop
from hansa.compose.stored import migrate_all
from hansa.kernel.errors import Fault
from hansa.platform.providers.payments import ProviderSilent, RefundAnswer
from hansa.platform.rpc.local import local
from hansa.platform.security.passwords import Passwords
from hansa.services.inventory.contract import Inventory
from hansa.services.orders.contract import Order, OrderDraft, Orders, RefundDraft
from hansa.settings import Settings
from tests import audits
from tests.clocks import ManualClock
from tests.shops import OpenedShop, order_body

STAFF = "user:1"


@asynccontextmanager
async def process(folder: Path, clock: ManualClock, *, wire: Any = local) -> AsyncIterator[Shop]:
    """A process of the shop over the data folder; its jobs run when a test settles it."""
    settings = Settings(data=str(folder), port=1)
    await migrate_all(settings)
    passwords = Passwords(memory_kib=64, passes=1)
    shop = await compose(settings, clock=clock, chance=random.Random(5), wire=wire, passwords=passwords)
    try:
        yield shop
    finally:
        await shop.close()


async def stock(shop: Shop, sku: str, pieces: int) -> None:
    async with aiohttp.ClientSession() as nobody:
        await OpenedShop(shop, nobody).put_product(sku, stock=pieces)
    await shop.settle()


async def place(shop: Shop, key: str) -> Order:
    orders: Orders = shop.client(Orders)
    wanted = msgspec.convert(order_body("HAT"), OrderDraft)
    return await orders.place(key=key, draft=wanted, member=None, locale="en", currency="USD")


async def seen(shop: Shop, order: Order) -> Order:
    orders: Orders = shop.client(Orders)
    return await orders.get_for_staff(order_id=order.id)


def without_sales(contract: type, service: Any) -> Any:
    """A wire on which no sale arrives: as for a process that dies just before it."""
    client: Any = local(contract, service)
    if contract is Inventory:

        async def sell(**_: Any) -> None:
            raise Fault("nobody there")

        client.sell = sell
    return client


@pytest.mark.parametrize("others", [0, 1])
async def test_a_paid_order_gets_its_pieces_after_hours_if_they_are_there(tmp_path: Path, others: int) -> None:
    clock = ManualClock()
    async with process(tmp_path, clock, wire=without_sales) as shop:
        await stock(shop, "HAT", 1)
        order = await place(shop, "k1")
        assert (order.status, (await seen(shop, order)).status) == ("pending", "pending")

    clock.advance(4 * 3600)
    async with process(tmp_path, clock) as shop:
        await shop.services["inventory"].expire()
        for number in range(others):
            assert (await place(shop, f"other {number}")).status == "placed"
        for _ in range(5):
            await shop.settle()
            clock.advance(5)

        found = await seen(shop, order)
        assert found.status == ("rejected" if others else "placed")
        assert found.payments[0].refunded == (order.total.amount if others else 0)
        left = await shop.client(Inventory).stock(sku="HAT")
        assert (left.on_hand, left.reserved, left.sold) == (0, 0, 1)
        await audits.everything_balances(shop)


async def test_a_refund_that_the_provider_declines_after_a_silence_is_shown_as_failed(tmp_path: Path) -> None:
    clock = ManualClock()
    answers: list[Any] = [ProviderSilent("no word"), RefundAnswer(state="declined", reason="the card is gone")]

    async with process(tmp_path, clock) as shop:
        await stock(shop, "HAT", 1)
        order = await place(shop, "k1")
        await shop.settle()
        provider = shop.providers["sandbox"]
        refund = provider.refund

        async def unwilling(**_: Any) -> RefundAnswer:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            assert isinstance(answer, RefundAnswer)
            return answer

        provider.refund = unwilling  # type: ignore[method-assign]
        orders: Orders = shop.client(Orders)
        asked = await orders.refund(key="r1", order_id=order.id, draft=RefundDraft(), actor=STAFF)
        assert [each.state for each in asked.refunds] == ["pending"]
        clock.advance(10)
        await shop.settle()
        assert [each.state for each in (await seen(shop, order)).refunds] == ["failed"]

        provider.refund = refund  # type: ignore[method-assign]
        again = await orders.refund(key="r2", order_id=order.id, draft=RefundDraft(), actor=STAFF)
        assert again.payments[0].refunded == order.total.amount
        await shop.settle()
        await audits.everything_balances(shop)
