"""The catalogue's public routes."""

from typing import Any

import pytest

from hansa.kernel.channel import Channel
from hansa.kernel.principal import STAFF, Principal
from hansa.platform.http.route import Access, Call, Route
from hansa.services.products.api import ProductsQuery, routes
from hansa.services.products.contract import ProductChanged, ProductPatch
from tests.services.products.conftest import Shop
from tests.services.products.drafts import category, whole_hat


def call(version: int | None = None, key: str = "a key", **changes: Any) -> Call:
    facts: dict[str, Any] = {
        "principal": Principal(user_id="1", roles=(STAFF,)),
        "channel": Channel(),
        "locale": "en",
        "currency": "USD",
        "remote": "",
        "token": "",
        "headers": {},
        "correlation": "",
    }
    return Call(version=version, key=key, **(facts | changes))


@pytest.fixture
def api(small_shop: Shop) -> dict[str, Route]:
    return {route.name: route for route in routes(small_shop.products)}


def test_what_everybody_may_read_and_what_only_staff_may_touch(api: dict[str, Route]):
    assert {(route.verb, route.path) for route in api.values() if route.access is Access.ANYONE} == {
        ("GET", "/api/v1/products"),
        ("GET", "/api/v1/products/{name}"),
        ("GET", "/api/v1/categories"),
    }
    assert all(route.is_public_read == (route.access is Access.ANYONE) for route in api.values())
    assert {(route.verb, route.path) for route in api.values() if route.access is Access.STAFF} == {
        ("GET", "/api/v1/admin/products"),
        ("POST", "/api/v1/admin/products"),
        ("GET", "/api/v1/admin/products/{product_id}"),
        ("PATCH", "/api/v1/admin/products/{product_id}"),
        ("POST", "/api/v1/admin/pictures"),
    }
    assert api["create_product"].needs_key
    assert api["change_product"].needs_version
    assert ProductChanged in api["change_product"].errors


async def test_what_staff_make_and_change_is_what_everybody_sees(api: dict[str, Route]):
    record = await api["create_product"].handler(call(), body=whole_hat())
    patch = ProductPatch(category=category("sale"))
    await api["change_product"].handler(call(version=1, key="b"), product_id=record.id, body=patch)

    page = await api["list_products"].handler(call(), query=ProductsQuery(category="sale"))
    tree = await api["list_categories"].handler(call(locale="de"))
    kept = await api["get_product_record"].handler(call(), product_id=record.id)

    assert page.items == (await api["get_product"].handler(call(), name="felt-hat"),)
    assert "Sale (de)" in [root.name for root in tree.items]
    assert kept.version == 2
