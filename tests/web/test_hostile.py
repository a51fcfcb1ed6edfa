"""Addresses and headers that no page of the shop would make."""

import pytest

from hansa.web.site import Site
from tests.web.conftest import Pages


@pytest.mark.parametrize(
    "query",
    [
        "&".join(f"a.x{number % 50}={number}" for number in range(5_000)),
        "&".join(f"brand={number}" for number in range(6_000)),
        "&".join("a=1" for _ in range(15_000)),
    ],
)
async def test_an_address_with_thousands_of_filters_is_refused_before_anything_is_rendered(pages: Pages, query: str):
    for path in ("/en/search", "/en/", "/zh/categories/tops"):
        answer = await pages.visitor().open(f"{path}?{query}")
        assert answer.status in (400, 414, 431), path
        assert len(answer.text) < 20_000


async def test_many_filters_at_once_are_still_answered_quickly(pages: Pages):
    query = "&".join(f"a.x{number % 10}={number}" for number in range(99))
    answer = await pages.visitor().open(f"/en/search?{query}")
    assert answer.status == 200
    assert len(answer.text) < 1_000_000


@pytest.mark.parametrize("values", ["a.x=1&a.x=2", "a.material=leather&a.material=felt&price=1-2", "brand=x&brand=y"])
async def test_filters_that_nothing_fits_leave_the_search_as_it_is(pages: Pages, values: str):
    await pages.shop.put_product("HAT")
    await pages.shop.shop.settle()
    visitor = pages.visitor()
    assert (await visitor.open(f"/en/search?{values}")).status == 200
    assert "Product HAT" in (await visitor.open("/en/search?q=HAT")).text


@pytest.mark.parametrize(
    "path",
    [
        "/en/fragments/stock/%00",
        "/en/products/%ff%fe",
        "/en/products/" + "x" * 2_000,
        "/en/categories/%0a",
        "/en/orders/1%00",
        "/%00/",
    ],
)
async def test_what_can_be_no_name_is_not_found(pages: Pages, path: str):
    answer = await pages.visitor().open(path)
    assert answer.status == 404
    assert "Traceback" not in answer.text


async def test_a_shop_that_knows_its_address_takes_forms_from_there_only(pages: Pages):
    site = Site(
        name="Shop",
        public_url="https://shop.example.com",
        is_address_fixed=True,
        channel=pages.shop.shop.settings.channel,
        clients={},
        clock=pages.shop.shop.clock,
        ids=pages.shop.shop.ids,
    )
    assert site.origins("evil.example.com") == {"https://shop.example.com"}
    form = {"sku": "X", "quantity": "1"}
    answer = await pages.visitor().send("/en/cart/lines", form, Origin="https://evil.example.com")
    assert answer.status == 403
