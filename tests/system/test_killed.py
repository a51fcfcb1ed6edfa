"""The served demo, killed in the middle of a rush and started again: nothing acknowledged is lost or sold twice."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hansa.compose import compose
from hansa.services.orders import tables as order_tables
from hansa.settings import Settings
from tests import audits
from tests.served import Served
from tests.shops import order_body

SHOPPERS = 64
PIECES = 100
ORDERS = 160
KILLS = 3
TOKENS = ("tok_success", "tok_success", "tok_success", "tok_declined", "tok_late", "tok_twice", "tok_timeout")


@pytest.fixture(params=["sqlite", "postgres"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    database = request.getfixturevalue("postgres_dsn") if request.param == "postgres" else "sqlite:"
    shop = Served(tmp_path / "data", database=database)
    yield shop
    if shop.process is not None and shop.process.poll() is None:
        shop.kill()


async def put_rush_product(served: Served) -> None:
    token = served.staff()
    draft = {
        "slug": "rush",
        "texts": {"en": {"name": "Rush"}},
        "variants": [{"sku": "RUSH", "prices": [{"amount": 1000, "currency": "USD"}]}],
    }
    status, answer = served.post("/api/v1/admin/products", draft, token=token)
    assert status == 201, answer
    async with aiohttp.ClientSession(served.address, headers={"Authorization": f"Bearer {token}"}) as session:
        response = await session.put("/api/v1/admin/inventory/RUSH", json={"on_hand": PIECES})
        assert response.status == 200, await response.text()


class Rush:
    """Shoppers who repeat each order with the same key until it has an answer."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.answers: dict[int, tuple[int, Any]] = {}

    async def run(self) -> None:
        queue = iter(range(ORDERS))
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:

            async def shopper() -> None:
                for number in queue:
                    self.answers[number] = await self.insist(session, number)

            await asyncio.gather(*(shopper() for _ in range(SHOPPERS)))

    async def insist(self, session: aiohttp.ClientSession, number: int) -> tuple[int, Any]:
        body = order_body("RUSH", pay=TOKENS[number % len(TOKENS)])
        headers = {"Idempotency-Key": f"rush-{number}"}
        while True:
            try:
                async with session.post(f"{self.served.address}/api/v1/orders", json=body, headers=headers) as response:
                    answer = await response.json()
                    if response.status < 500 and answer.get("code") != "idempotency.in_flight":
                        return response.status, answer
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(0.05)


async def test_a_shop_killed_in_a_rush_keeps_every_promise(served: Served, tmp_path: Path) -> None:
    served.start()
    await put_rush_product(served)
    rush = Rush(served)
    running = asyncio.create_task(rush.run())
    for kill in range(KILLS):
        while len(rush.answers) < (kill + 1) * ORDERS // (KILLS + 2) and not running.done():
            await asyncio.sleep(0.01)
        served.kill()
        await asyncio.to_thread(served.start)
    await running
    settled = await settle_served(served, rush)

    statuses = Counter(order["status"] for order in settled.values())
    assert statuses.keys() <= {"placed", "rejected"}, statuses
    late = await asyncio.to_thread(sell_out, served)
    assert statuses["placed"] + late == PIECES
    stock = served.get("/api/v1/admin/inventory/RUSH", served.staff())
    assert (stock["on_hand"], stock["reserved"], stock["sold"]) == (0, 0, PIECES)
    assert served.stop() == 0

    settings = Settings(data=str(served.folder), port=served.port, database=served.environment["HANSA_DATABASE"])
    shop = await compose(settings, chance=random.Random(3))
    shop.start()
    try:
        await audits.drained(shop)
        await audits.everything_balances(shop)
        orders = await audits.rows(shop, "orders", order_tables.ORDERS)
        by_status = Counter(row["status"] for row in orders)
        assert by_status["placed"] == PIECES, "an acknowledged order was lost, or one was placed unasked"
    finally:
        await shop.close()


def sell_out(served: Served) -> int:
    """Buy piece by piece what the rush has left, until there is nothing; how many that was."""
    for bought in range(PIECES + 1):
        status, answer = served.post("/api/v1/orders", order_body("RUSH"))
        if status != 201:
            assert (status, answer["code"], answer["left"]) == (409, "inventory.out_of_stock", 0)
            return bought
    raise AssertionError("more was sold than there was")


async def settle_served(served: Served, rush: Rush) -> dict[int, Any]:
    """Every order that was acknowledged, as it stands when none is pending any more."""
    names = {number: answer["id"] for number, (status, answer) in rush.answers.items() if status == 201}
    settled: dict[int, Any] = {}
    async with asyncio.timeout(70), aiohttp.ClientSession(served.address) as session:
        while len(settled) < len(names):
            for number in names.keys() - settled.keys():
                async with session.get(f"/api/v1/orders/{names[number]}") as response:
                    assert response.status == 200, "an acknowledged order is gone"
                    order = await response.json()
                if order["status"] != "pending":
                    settled[number] = order
            await asyncio.sleep(0.2)
    return settled
