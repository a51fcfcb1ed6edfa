"""What everybody sees is ready-made, and yet the next read shows every change of price and availability."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import databases
from tests.conftest import BROKERS
from tests.shops import OpenedShop, opened_shop

READS = {
    "product": "/api/v1/products/hat",
    "list": "/api/v1/products?limit=5",
    "home": "/api/v1/home",
    "search": "/api/v1/search?q=hat",
    "product page": "/en/products/hat",
    "home page": "/en/",
    "search page": "/en/search?q=hat",
}


@pytest.fixture(
    params=[(databases.SQLITE, "local"), (databases.POSTGRES, "local"), *((databases.SQLITE, name) for name in BROKERS)]
)
async def shop(
    request: pytest.FixtureRequest, tmp_path: Path, bus_at: Callable[[str], str]
) -> AsyncIterator[OpenedShop]:
    engine, bus = request.param
    dsn = request.getfixturevalue("postgres_dsn") if engine == databases.POSTGRES else None
    async with opened_shop(folder=tmp_path / "shop", dsn=dsn, bus=bus_at(bus)) as opened:
        yield opened


async def read(shop: OpenedShop, path: str, **headers: str) -> str:
    async with shop.session.get(path, headers=headers) as response:
        assert response.status == 200, path
        return await response.text()


async def read_all(shop: OpenedShop) -> dict[str, str]:
    """Every public read, twice: the second time as it was kept."""
    for path in READS.values():
        await read(shop, path)
    return {name: await read(shop, path) for name, path in READS.items()}


async def put(shop: OpenedShop, *, stock: int = 10) -> str:
    product_id = await shop.put_product("HAT", stock=stock, USD=1999)
    await shop.shop.settle()
    return product_id


async def test_a_price_that_was_edited_is_shown_by_the_next_read_everywhere(shop: OpenedShop):
    product_id = await put(shop)
    staff = await shop.staff()
    before = await read_all(shop)

    body = {"variants": [{"sku": "HAT", "prices": [{"amount": 2345, "currency": "USD"}], "weight_grams": 300}]}
    status, _ = await shop.request(
        "PATCH", f"/admin/products/{product_id}", body, token=staff, headers={"If-Match": "*"}
    )
    after = {name: await read(shop, path) for name, path in READS.items()}

    assert status == 200
    for name in READS:
        assert "19.99" in before[name] or "1999" in before[name], name
        assert "23.45" in after[name] or "2345" in after[name], name
        assert "19.99" not in after[name], name
        assert "1999" not in after[name], name


async def test_the_last_piece_sold_is_shown_by_the_next_read_everywhere(shop: OpenedShop):
    await put(shop, stock=1)
    before = await read_all(shop)

    status, _ = await shop.order("HAT")
    after = {name: await read(shop, path) for name, path in READS.items()}

    assert status == 201
    for name in ("product", "list", "search"):
        assert '"available":true' in before[name], name
        assert '"available":true' not in after[name], name
    for name in ("product page", "search page", "home page", "home"):
        assert before[name] != after[name], name


async def test_an_answer_that_was_kept_has_the_headers_of_the_first(shop: OpenedShop):
    await put(shop)
    for path in READS.values():
        told = []
        for _ in range(2):
            async with shop.session.get(path) as response:
                told.append({name.lower(): value for name, value in response.headers.items()})
        varying = {"date", "x-request-id", "content-length", "etag", "vary", "transfer-encoding"}
        first, second = ({name: value for name, value in each.items() if name not in varying} for each in told)
        assert first == second, path
        assert first["x-content-type-options"] == "nosniff", path


async def test_a_query_may_be_sent_without_being_encoded(shop: OpenedShop):
    await put(shop)
    base = shop.session._base_url
    assert base is not None
    for text in ("中", "café", "\N{GRINNING FACE}"):
        reader, writer = await asyncio.open_connection(base.host, base.port)
        writer.write(f"GET /api/v1/search?q={text} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 200"), text


async def test_a_flash_sale_is_announced_on_the_next_page(shop: OpenedShop):
    await put(shop)
    staff = await shop.staff()
    before = await read_all(shop)

    at = datetime.now(UTC)
    body = {
        "sku": "HAT",
        "price": {"amount": 999, "currency": "USD"},
        "quantity": 5,
        "limit_per_buyer": 1,
        "starts_at": (at + timedelta(hours=1)).isoformat(),
        "ends_at": (at + timedelta(hours=2)).isoformat(),
    }
    status, sale = await shop.request("POST", "/admin/flash-sales", body, token=staff)
    after = {name: await read(shop, READS[name]) for name in ("home page", "product page")}
    status_of_end, _ = await shop.request("POST", f"/admin/flash-sales/{sale['id']}/cancel", token=staff)

    assert (status, status_of_end) == (201, 200)
    for name, page in after.items():
        assert "/en/sale" in page, name
        assert "/en/sale" not in before[name], name
        assert "/en/sale" not in await read(shop, READS[name]), f"{name} once it is cancelled"


async def test_stock_that_came_back_is_shown_by_the_next_read(shop: OpenedShop):
    await put(shop, stock=0)
    before = await read_all(shop)

    await shop.inventory.set_on_hand(key="back", sku="HAT", on_hand=3, version=None, actor="test")

    assert '"available":true' not in before["product"]
    for name in ("product", "list", "search"):
        assert '"available":true' in await read(shop, READS[name]), name


async def test_selling_what_there_is_plenty_of_changes_no_bytes(shop: OpenedShop):
    await put(shop, stock=10)
    before = await read_all(shop)

    status, _ = await shop.order("HAT")

    assert status == 201
    for name in ("product", "list", "search", "product page", "search page"):
        assert await read(shop, READS[name]) == before[name], name


async def test_who_asks_makes_no_difference_to_what_is_kept(shop: OpenedShop):
    await put(shop)
    token = await shop.member("ada@example.com")
    for name, path in READS.items():
        known = await read(shop, path, Cookie=f"session={token}; known=1; cart=7-x", Authorization=f"Bearer {token}")
        assert "ada@example.com" not in known
        assert await read(shop, path) == known, name
        async with shop.session.get(path) as response:
            assert "set-cookie" not in response.headers, name
            assert response.headers["cache-control"] == "public, no-cache", name


async def test_what_is_personal_is_made_each_time(shop: OpenedShop):
    await put(shop)
    ada, bob = await shop.member("ada@example.com"), await shop.member("bob@example.com")

    assert (await shop.request("GET", "/users/me", token=ada))[1]["email"] == "ada@example.com"
    assert (await shop.request("GET", "/users/me", token=bob))[1]["email"] == "bob@example.com"
    assert (await shop.request("GET", "/users/me"))[0] == 401


async def test_readers_and_an_editor_at_once_end_with_the_last_price(shop: OpenedShop):
    product_id = await put(shop)
    staff = await shop.staff()
    stop = asyncio.Event()

    async def keep_reading(path: str) -> None:
        while not stop.is_set():
            await read(shop, path)

    readers = [asyncio.create_task(keep_reading(path)) for path in READS.values()]
    for amount in (2101, 2202, 2303, 2404):
        body = {"variants": [{"sku": "HAT", "prices": [{"amount": amount, "currency": "USD"}], "weight_grams": 300}]}
        headers = {"If-Match": "*"}
        status, _ = await shop.request("PATCH", f"/admin/products/{product_id}", body, token=staff, headers=headers)
        assert status == 200
        for name in ("product", "list", "product page"):
            text = await read(shop, READS[name])
            assert str(amount) in text or f"{amount / 100:.2f}" in text, (name, amount)
    stop.set()
    await asyncio.gather(*readers)


async def test_requests_that_were_answered_from_what_is_kept_are_counted(shop: OpenedShop):
    await put(shop)
    for _ in range(5):
        await read(shop, READS["product"])

    metrics = await read(shop, "/metrics")

    assert 'hansa_http_requests_total{method="GET",route="/api/v1/products/{name}",status="2xx"} 5.0' in metrics
