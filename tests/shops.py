"""Whole shops for tests: composed in this process, behind their real HTTP server."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from hansa.compose import compose
from hansa.compose.shop import Shop
from hansa.kernel.contract import Key
from hansa.platform.http.serve import HttpServer
from hansa.platform.messaging.local import Mischief
from hansa.platform.rpc.local import local, twice
from hansa.platform.security.passwords import Passwords
from hansa.services.inventory.contract import Inventory
from hansa.services.products.contract import PriceDraft, ProductDraft, Products, Text, VariantDraft
from hansa.services.users.contract import Users
from hansa.settings import Settings
from tests.migrated import migrate_shop
from tests.ports import free_port

STAFF = ("staff@example.com", "correct horse battery")
MISCHIEF = Mischief(duplicate=0.2, reorder=0.2, split=0.2)
WIRES = {"local": local, "twice": twice}
ADDRESS = {
    "name": "Ada Byron",
    "line1": "12 St James's Square",
    "city": "London",
    "postal_code": "SW1Y 4JH",
    "country": "GB",
}


class OpenedShop:
    """A shop and a client of its HTTP API."""

    def __init__(self, shop: Shop, session: aiohttp.ClientSession) -> None:
        self.shop = shop
        self.session = session
        self._keys = 0

    @property
    def products(self) -> Products:
        client: Products = self.shop.client(Products)
        return client

    @property
    def inventory(self) -> Inventory:
        client: Inventory = self.shop.client(Inventory)
        return client

    def key(self) -> Key:
        """A fresh idempotency key."""
        self._keys += 1
        return f"test-{self._keys}"

    async def request(
        self,
        verb: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        key: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Status and decoded body of one request under /api/v1; a POST without a key gets a fresh one."""
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if verb != "GET":
            sent.setdefault("Idempotency-Key", key or self.key())
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        data = msgspec.json.encode(body) if body is not None else None
        async with self.session.request(verb, f"/api/v1{path}", data=data, headers=sent) as response:
            raw = await response.read()
            return response.status, msgspec.json.decode(raw) if raw else None

    async def put_product(self, sku: str, *, stock: int = 10, **prices: int) -> str:
        """Make a product with one variant; returns its id."""
        draft = ProductDraft(
            slug=sku.lower(),
            texts={"en": Text(name=f"Product {sku}"), "zh": Text(name=f"商品 {sku}")},
            variants=(
                VariantDraft(
                    sku=sku,
                    prices=tuple(
                        PriceDraft(amount=amount, currency=currency, tax_included=currency != "USD")
                        for currency, amount in (prices or {"USD": 1999, "EUR": 1899, "CNY": 12900}).items()
                    ),
                    weight_grams=300,
                ),
            ),
        )
        record = await self.products.create(key=self.key(), draft=draft, actor="test")
        await self.inventory.set_on_hand(key=self.key(), sku=sku, on_hand=stock, version=None, actor="test")
        return record.id

    async def order(
        self, sku: str, *, quantity: int = 1, pay: str = "tok_success", token: str | None = None, key: str | None = None
    ) -> tuple[int, Any]:
        """Buy now."""
        return await self.request("POST", "/orders", order_body(sku, quantity=quantity, pay=pay), token=token, key=key)

    async def sign_in(self, email: str, password: str) -> str:
        status, session = await self.request("POST", "/sessions", {"email": email, "password": password})
        assert status == 201, session
        token: str = session["token"]
        return token

    async def member(self, email: str) -> str:
        """A new member's token."""
        body = {"email": email, "password": "a long enough word", "name": "A Member"}
        status, user = await self.request("POST", "/users", body)
        assert status == 201, user
        return await self.sign_in(email, "a long enough word")

    async def staff(self) -> str:
        users: Users = self.shop.client(Users)
        await users.put_staff(key=self.key(), email=STAFF[0], password=STAFF[1])
        return await self.sign_in(*STAFF)


def order_body(sku: str, *, quantity: int = 1, pay: str = "tok_success", **more: Any) -> dict[str, Any]:
    return {
        "lines": [{"sku": sku, "quantity": quantity}],
        "email": "ada@example.com",
        "shipping_address": ADDRESS,
        "payment": {"provider": "sandbox", "token": pay},
        **more,
    }


@asynccontextmanager
async def opened_shop(
    *, folder: Path, dsn: str | None = None, wire: str = "local", bus: str = "local:", **more: Any
) -> AsyncIterator[OpenedShop]:
    """A shop with everything at work, and with `more` settings. The bus within the process misbehaves a little, as
    buses may."""
    settings = Settings(data=str(folder), port=free_port(), database=dsn or "sqlite:", bus=bus, **more)
    folder.mkdir(parents=True, exist_ok=True)
    await migrate_shop(settings)
    shop = await compose(
        settings,
        chance=random.Random(11),
        wire=WIRES[wire],
        mischief=MISCHIEF,
        passwords=Passwords(memory_kib=64, passes=1),
    )
    server = HttpServer(shop.app, host=settings.host, port=settings.port)
    await server.start()
    await shop.join()
    shop.start()
    timeout = aiohttp.ClientTimeout(total=60)
    connector = aiohttp.TCPConnector(limit=0)
    address = f"http://{settings.host}:{settings.port}"
    try:
        async with aiohttp.ClientSession(address, timeout=timeout, connector=connector) as session:
            yield OpenedShop(shop, session)
    finally:
        await server.close()
        await shop.close()
