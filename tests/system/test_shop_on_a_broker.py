"""The whole shop with its events going through a real broker: every order has all its consequences, each once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from hansa.compose.services import MANIFESTS
from hansa.platform.database.platform_tables import DEAD_LETTERS, INBOX, OUTBOX, PUBLISHED
from hansa.services.notifications.tables import METADATA as NOTIFICATIONS
from tests import audits
from tests.conftest import BROKERS
from tests.shops import OpenedShop, opened_shop

TOKENS = ("tok_success", "tok_success", "tok_declined", "tok_late", "tok_twice")
ORDERS = 40
PATIENCE_S = 60.0


@pytest.fixture(params=BROKERS)
async def shop(
    request: pytest.FixtureRequest, tmp_path: Path, bus_at: Callable[[str], str]
) -> AsyncIterator[OpenedShop]:
    async with opened_shop(folder=tmp_path / "shop", bus=bus_at(request.param)) as opened:
        yield opened


async def mails(shop: OpenedShop) -> Counter[str]:
    """How often which order was confirmed."""
    return Counter(
        str(row["order_id"]) for row in await audits.rows(shop.shop, "notifications", NOTIFICATIONS.tables["mails"])
    )


async def test_every_order_has_all_its_consequences_once(shop: OpenedShop):
    await shop.put_product("HAT", stock=1000)

    answers = await asyncio.gather(*(shop.order("HAT", pay=TOKENS[number % len(TOKENS)]) for number in range(ORDERS)))
    placed = [answer["id"].partition("-")[0] for status, answer in answers if status == 201]
    cancelled = placed[0]
    guest = next(answer["id"] for status, answer in answers if status == 201)
    await audits.drained(shop.shop)
    status, _ = await shop.request("POST", f"/orders/{guest}/cancel")
    assert status in (200, 201)

    async with asyncio.timeout(PATIENCE_S):
        while True:
            await audits.drained(shop.shop)
            stock = await shop.inventory.stock(sku="HAT")
            if await mails(shop) == Counter(placed) and stock.reserved == 0 and stock.sold == len(placed) - 1:
                break
            await asyncio.sleep(0.05)
    await audits.everything_balances(shop.shop)
    assert len(placed) == ORDERS * 4 // 5
    assert cancelled in placed


async def test_what_was_published_is_noted_and_handled_by_everybody_who_hears_it(shop: OpenedShop):
    await shop.put_product("HAT", stock=10)
    status, _ = await shop.order("HAT")
    assert status == 201
    wanted = {
        (manifest.name, consumer.name)
        for manifest in MANIFESTS
        for consumer in manifest.consumers(shop.shop.services[manifest.name])
        if consumer.hears.type in ("orders.order_placed.v1", "products.product_put.v1") and consumer.concerns is None
    }
    handled: set[tuple[str, str]] = set()

    async with asyncio.timeout(PATIENCE_S):
        while not wanted <= handled:
            await asyncio.sleep(0.05)
            handled = {
                (manifest.name, row["consumer"])
                for manifest in MANIFESTS
                for row in await audits.rows(shop.shop, manifest.name, INBOX)
            }
        await audits.drained(shop.shop)

    published = await audits.rows(shop.shop, "orders", PUBLISHED)
    assert published, "the broker has confirmed it"
    for manifest in MANIFESTS:
        assert await audits.rows(shop.shop, manifest.name, OUTBOX) == []
        assert await audits.rows(shop.shop, manifest.name, DEAD_LETTERS) == []
