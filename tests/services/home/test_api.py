"""The front page of a whole shop: it follows what happens there, and stands while others are dead."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.shops import OpenedShop, opened_shop

BANNERS = {"banners": [{"texts": {"en": {"title": "Coats", "link_label": "See them"}}, "link": "categories/coats"}]}


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[OpenedShop]:
    async with opened_shop(folder=tmp_path / "data") as opened:
        yield opened


async def front(shop: OpenedShop, path: str = "/home") -> Any:
    await shop.shop.settle()
    status, page = await shop.request("GET", path)
    assert status == 200, page
    return page


async def test_the_page_follows_what_is_made_sold_and_cancelled(shop: OpenedShop):
    await shop.put_product("HAT", stock=2)
    await shop.put_product("SHOE", stock=5)
    page = await front(shop)
    assert {item["slug"] for item in page["new"]} == {"hat", "shoe"}
    assert page["best_sellers"] == []

    _, order = await shop.order("HAT", quantity=2)
    await shop.order("SHOE")
    page = await front(shop, "/home?currency=EUR")
    assert [(item["slug"], item["price_from"]) for item in page["best_sellers"]] == [
        ("shoe", {"amount": 1899, "currency": "EUR"})
    ]
    assert [item["slug"] for item in page["new"]] == ["shoe"]

    status, _ = await shop.request("POST", f"/orders/{order['id']}/cancel")
    assert status == 200
    page = await front(shop)
    assert [item["slug"] for item in page["best_sellers"]] == ["shoe"]
    assert {item["slug"] for item in page["new"]} == {"hat", "shoe"}


async def test_the_page_answers_with_products_and_orders_dead(shop: OpenedShop):
    await shop.put_product("HAT")
    await shop.order("HAT")
    before = await front(shop)
    for name in ("products", "orders", "inventory"):
        await shop.shop.databases[name].close()
    assert (await shop.request("GET", "/products"))[0] == 503

    status, page = await shop.request("GET", "/home")

    assert status == 200
    assert page == before
    assert [item["slug"] for item in page["best_sellers"]] == ["hat"]


async def test_staff_change_banners_under_their_version_and_nobody_else_does(shop: OpenedShop):
    staff, member = await shop.staff(), await shop.member("ada@example.com")
    path = "/admin/home/banners"
    assert (await shop.request("GET", path, token=member))[0] == 403
    assert (await shop.request("PUT", path, BANNERS, token=member, headers={"If-Match": '"0"'}))[0] == 403
    assert (await shop.request("PUT", path, BANNERS, token=staff))[0] == 428
    assert (await shop.request("PUT", path, BANNERS, token=staff, headers={"If-Match": '"0"'}))[0] == 200
    status, problem = await shop.request("PUT", path, BANNERS, token=staff, headers={"If-Match": '"0"'})
    assert (status, problem["code"], problem["version"]) == (412, "home.banners_version_conflict", 1)
    async with shop.session.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {staff}"}) as answer:
        assert answer.headers["etag"] == '"1"'

    assert [banner["title"] for banner in (await front(shop))["banners"]] == ["Coats"]


@pytest.mark.parametrize("link", ["https://elsewhere.example", "//elsewhere.example", "../admin", "javascript:x"])
async def test_a_banner_that_leads_elsewhere_is_refused(shop: OpenedShop, link: str):
    body = {"banners": [{**BANNERS["banners"][0], "link": link}]}
    staff = await shop.staff()
    status, problem = await shop.request("PUT", "/admin/home/banners", body, token=staff, headers={"If-Match": "*"})
    assert (status, problem["pointer"]) == (400, "/banners/0/link")


@pytest.mark.parametrize("question", ["currency=XXX", "currency=usd", "currency="])
async def test_a_currency_that_the_shop_does_not_have_is_refused(shop: OpenedShop, question: str):
    status, problem = await shop.request("GET", f"/home?{question}")
    assert (status, problem["code"]) == (400, "request.currency_unknown")
