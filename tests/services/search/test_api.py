"""Search over HTTP: any query is answered, wrong parameters are refused, and an edit is found within a second."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.services.products.contract import ProductPatch, Text
from tests.services.search import catalogue
from tests.shops import OpenedShop, opened_shop

SOON_S = 1.0


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[OpenedShop]:
    async with opened_shop(folder=tmp_path / "data") as opened:
        yield opened


@pytest.fixture
async def stocked(shop: OpenedShop) -> OpenedShop:
    await shop.products.put_many(key=shop.key(), drafts=catalogue.SHOP, actor="test")
    await shop.shop.settle()
    return shop


async def found(shop: OpenedShop, asked: str) -> Any:
    status, answer = await shop.request("GET", f"/search?{asked}")
    assert status == 200, answer
    return answer


async def seconds_until(shop: OpenedShop, asked: str, *, slugs: list[str]) -> float:
    """How long it takes until a search finds just these; it gives up long after it should have."""
    began = time.monotonic()
    while time.monotonic() - began < 20 * SOON_S:
        if [item["slug"] for item in (await found(shop, asked))["items"]] == slugs:
            return time.monotonic() - began
        await asyncio.sleep(0.01)
    raise AssertionError(f"{asked} never found {slugs}")


async def test_an_edit_is_found_within_a_second(shop: OpenedShop) -> None:
    product_id = await shop.put_product("HAT")
    await seconds_until(shop, "q=hat", slugs=["hat"])
    waited = []
    for name in ("Straw trilby", "Panama", "Fedora"):
        texts = {"en": Text(name=name)}
        await shop.products.change(
            key=shop.key(), product_id=product_id, patch=ProductPatch(texts=texts), version=None, actor="test"
        )
        waited.append(await seconds_until(shop, f"q={name.split()[-1]}", slugs=["hat"]))
    patch = ProductPatch(status="archived")
    await shop.products.change(key=shop.key(), product_id=product_id, patch=patch, version=None, actor="test")
    waited.append(await seconds_until(shop, "q=fedora", slugs=[]))

    assert sorted(waited)[len(waited) // 2] < SOON_S, waited


async def test_what_is_sold_out_is_said_to_be(shop: OpenedShop) -> None:
    await shop.put_product("LAST", stock=1)
    await seconds_until(shop, "q=last&in_stock=true", slugs=["last"])
    await shop.order("LAST")
    await seconds_until(shop, "q=last&in_stock=true", slugs=[])

    [item] = (await found(shop, "q=last"))["items"]
    assert item["available"] is False


async def test_several_brands_and_attributes_can_be_chosen(stocked: OpenedShop) -> None:
    brands = await found(stocked, "brand=HP&brand=Xerox&category=printing/toner&sort=price_up")
    assert [item["slug"] for item in brands["items"]] == ["xerox", "ce285a"]

    coats = await found(stocked, "attribute=colour:red&attribute=colour:black&attribute=size:L")
    assert [item["slug"] for item in coats["items"]] == ["wool-coat"]
    chosen = {
        (facet["name"], value["value"]) for facet in coats["facets"] for value in facet["values"] if value["is_chosen"]
    }
    assert chosen == {("colour", "red"), ("colour", "black"), ("size", "L")}
    assert (await found(stocked, "attribute=colour:a:b"))["total"] == 0


async def test_prices_bound_and_order_in_the_currency_asked_for(stocked: OpenedShop) -> None:
    listed = await found(stocked, "price_min=2000&price_max=5000&sort=price_down&currency=USD")
    amounts = [item["price_from"]["amount"] for item in listed["items"]]

    assert amounts == sorted(amounts, reverse=True)
    assert amounts
    assert all(2000 <= amount <= 5000 for amount in amounts)
    assert (await found(stocked, "price_min=0&currency=CNY"))["total"] == 0


async def test_chinese_answers_in_chinese(stocked: OpenedShop) -> None:
    status, answer = await stocked.request(
        "GET", f"/search?q={quote('羊毛大衣')}", headers={"Accept-Language": "zh-CN"}
    )

    assert (status, answer["items"][0]["name"]) == (200, "羊毛大衣")


async def test_suggestions_complete_what_is_typed(stocked: OpenedShop) -> None:
    status, answer = await stocked.request("GET", "/search/suggestions?q=note&limit=5")

    assert status == 200
    assert {"kind": "query", "text": "notebook", "target": "notebook"} in answer["items"]
    assert len(answer["items"]) <= 5


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("cursor=forged", "request.cursor_invalid"),
        ("cursor=WyJwcm9kdWN0cyIsMV0", "request.cursor_invalid"),
        ("currency=XXX", "request.currency_unknown"),
        ("sort=best", "request.invalid"),
        ("limit=0", "request.invalid"),
        ("limit=many", "request.invalid"),
        ("price_min=-1", "request.invalid"),
        ("attribute=red", "request.invalid"),
        ("category=a%00b", "request.invalid"),
        ("&".join(["brand=x"] * 60), "request.invalid"),
    ],
)
async def test_wrong_parameters_are_refused(stocked: OpenedShop, asked: str, code: str) -> None:
    status, problem = await stocked.request("GET", f"/search?q=hat&{asked}")

    assert (status, problem["code"]) == (400, code)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.binary(max_size=200)
    | st.sampled_from(
        [b"\xff\xfe", b"\0", b"a" * 10_000, b'name:hat AND ("', b"' OR 1=1 --", "👗".encode() * 50, b"%", b"[a TO b]"]
    )
)
async def test_a_query_of_any_bytes_is_answered(stocked: OpenedShop, raw: bytes) -> None:
    for path in ("/search", "/search/suggestions"):
        status, answer = await stocked.request("GET", f"{path}?q={quote_from_bytes(raw)}")
        assert status == 200, answer


async def test_a_search_may_be_cached_and_is_the_same_for_everybody(stocked: OpenedShop) -> None:
    async with stocked.session.get("/api/v1/search?q=hat") as response:
        assert response.headers["cache-control"].startswith("public")
        etag = response.headers["etag"]
    async with stocked.session.get("/api/v1/search?q=hat", headers={"If-None-Match": etag}) as response:
        assert response.status == 304
