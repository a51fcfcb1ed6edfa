"""The served demo, killed in the middle of a flash sale: every piece is sold once, and every buyer gets the answer."""

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
from hansa.services.promotions import tables
from hansa.settings import Settings
from tests import audits
from tests.served import Served
from tests.shops import ADDRESS

SHOPPERS = 12
ATTEMPTS_EACH = 4
PIECES = 15
LIMIT = 2
KILLS = 2
SKU = "BAKER-BOY-CAP-BLAC-ONESIZE"
TOKENS = ("tok_success", "tok_declined", "tok_success", "tok_late")
PASSWORD = "a long enough word"


@pytest.fixture(params=["sqlite", "postgres"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    database = request.getfixturevalue("postgres_dsn") if request.param == "postgres" else "sqlite:"
    shop = Served(tmp_path / "data", database=database)
    yield shop
    if shop.process is not None and shop.process.poll() is None:
        shop.kill()


def member(served: Served, number: int) -> str:
    account = {"email": f"shopper{number}@example.com", "password": PASSWORD}
    status, answer = served.post("/api/v1/users", {**account, "name": "A Member"})
    assert status == 201, answer
    status, session = served.post("/api/v1/sessions", account)
    assert status == 201, session
    return str(session["token"])


class Sale:
    """Members who repeat each attempt with the same key until it has an answer."""

    def __init__(self, served: Served) -> None:
        self.served = served
        staff = served.staff()
        status, stock = served.send("PUT", f"/api/v1/admin/inventory/{SKU}", {"on_hand": 10 * PIECES}, token=staff)
        assert status == 200, stock
        draft = {
            "sku": SKU,
            "price": {"amount": 500, "currency": "USD"},
            "quantity": PIECES,
            "limit_per_buyer": LIMIT,
            "starts_at": "2020-01-01T00:00:00Z",
            "ends_at": "2100-01-01T00:00:00Z",
        }
        status, sale = served.post("/api/v1/admin/flash-sales", draft, token=staff)
        assert status == 201, sale
        self.path = f"/api/v1/flash-sales/{sale['id']}"
        tokens = [member(served, number) for number in range(SHOPPERS)]
        self.members = [(token, served.get(f"{self.path}/ticket", token)["ticket"]) for token in tokens]
        self.answers: dict[str, tuple[int, Any]] = {}

    async def run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:

            async def shopper(number: int) -> None:
                for attempt in range(ATTEMPTS_EACH):
                    pay = TOKENS[(number + attempt) % len(TOKENS)]
                    key = f"{number}-{attempt}"
                    self.answers[key] = await self.insist(session, number, key=key, pay=pay)

            await asyncio.gather(*(shopper(number) for number in range(SHOPPERS)))

    async def insist(self, session: aiohttp.ClientSession, number: int, *, key: str, pay: str) -> tuple[int, Any]:
        token, ticket = self.members[number]
        body = {
            "ticket": ticket,
            "email": "ada@example.com",
            "shipping_address": ADDRESS,
            "payment": {"provider": "sandbox", "token": pay},
        }
        headers = {"Idempotency-Key": key, "Authorization": f"Bearer {token}"}
        while True:
            try:
                address = f"{self.served.address}{self.path}/orders"
                async with session.post(address, json=body, headers=headers) as response:
                    answer = await response.json()
                    is_certain = response.status < 500 and response.status != 429
                    if is_certain and answer.get("code") != "idempotency.in_flight":
                        return response.status, answer
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(0.05)


async def test_a_flash_sale_that_is_killed_sells_every_piece_once(served: Served) -> None:
    served.start()
    sale = await asyncio.to_thread(Sale, served)
    running = asyncio.create_task(sale.run())
    for kill in range(KILLS):
        while len(sale.answers) < (kill + 1) * 6 and not running.done():
            await asyncio.sleep(0.01)
        served.kill()
        await asyncio.to_thread(served.start)
    await running
    told = {key: answer for key, (status, answer) in sale.answers.items() if status == 201}
    statuses = Counter(status for status, _ in sale.answers.values())
    assert statuses.keys() <= {201, 402, 403, 409}, statuses
    assert served.stop() == 0

    settings = Settings(data=str(served.folder), port=served.port, database=served.environment["HANSA_DATABASE"])
    shop = await compose(settings, chance=random.Random(3))
    shop.start()
    try:
        await audits.drained(shop)
        await audits.everything_balances(shop)
        orders = {str(row["order_id"]): row for row in await audits.rows(shop, "orders", order_tables.ORDERS)}
        claims = await audits.rows(shop, "promotions", tables.FLASH_CLAIMS)
        [kept] = await audits.rows(shop, "promotions", tables.FLASH_SALES)
    finally:
        await shop.close()
    held = {str(row["order_id"]) for row in claims if row["state"] == "held"}
    placed = {order_id for order_id, row in orders.items() if row["status"] == "placed"}
    assert held == placed, "who has a piece has an order, and the other way round"
    assert {answer["id"] for answer in told.values()} <= placed, "an acknowledged order was lost"
    assert kept["claimed"] == len(held) <= PIECES
    assert max(Counter(row["member"] for row in claims if row["state"] == "held").values()) <= LIMIT
    if 409 in statuses:
        assert len({row["order_id"] for row in claims if row["quantity"]}) >= PIECES, "refused while pieces were left"
