"""Every route, for each role, and for one's own and other people's things."""

from pathlib import Path
from typing import Any

import pytest

from hansa.compose.services import MANIFESTS
from hansa.platform.http.route import Access, Route
from tests.shops import STAFF, OpenedShop, opened_shop, order_body

ROUTES: list[Route] = [route for manifest in MANIFESTS for route in manifest.routes(None)]
PUBLISHED = {
    "GET /products",
    "GET /products/{}",
    "GET /categories",
    "POST /users",
    "GET /users/me",
    "PATCH /users/me",
    "PUT /users/me/password",
    "GET /users/me/addresses",
    "POST /users/me/addresses",
    "PUT /users/me/addresses/{}",
    "DELETE /users/me/addresses/{}",
    "GET /users/me/consents",
    "PUT /users/me/consents/{}",
    "POST /sessions",
    "DELETE /sessions/current",
    "POST /carts",
    "GET /carts/{}",
    "GET /carts/current",
    "POST /carts/{}/claim",
    "PUT /carts/{}/lines/{}",
    "PUT /carts/{}/currency",
    "POST /orders",
    "GET /orders",
    "GET /orders/{}",
    "GET /flash-sales",
    "GET /flash-sales/{}",
    "GET /flash-sales/{}/ticket",
    "GET /flash-sales/{}/place",
    "POST /flash-sales/{}/orders",
    "GET /admin/flash-sales",
    "POST /admin/flash-sales",
    "GET /admin/flash-sales/{}",
    "POST /admin/flash-sales/{}/cancel",
    "POST /orders/{}/cancel",
    "POST /orders/{}/follow",
    "POST /webhooks/payments/{}",
    "GET /admin/products",
    "POST /admin/products",
    "GET /admin/products/{}",
    "PATCH /admin/products/{}",
    "POST /admin/pictures",
    "GET /home",
    "GET /search",
    "GET /search/suggestions",
    "POST /events",
    "GET /admin/home/banners",
    "PUT /admin/home/banners",
    "GET /admin/inventory/{}",
    "PUT /admin/inventory/{}",
    "GET /admin/customers",
    "GET /admin/customers/{}",
    "POST /admin/customers/{}/reveal",
    "GET /admin/orders",
    "GET /admin/orders/{}/history",
    "POST /admin/orders/{}/fulfilments",
    "POST /admin/orders/{}/refunds",
    "GET /admin/webhooks",
    "POST /admin/webhooks",
    "GET /admin/webhooks/event-types",
    "GET /admin/webhooks/deliveries",
    "GET /admin/webhooks/{}",
    "PATCH /admin/webhooks/{}",
    "DELETE /admin/webhooks/{}",
    "POST /admin/webhooks/{}/reveal",
    "POST /admin/webhooks/{}/rotate",
    "POST /admin/webhooks/{}/ping",
    "POST /admin/webhooks/{}/replay",
    "GET /admin/webhooks/{}/deliveries/{}",
    "POST /admin/webhooks/{}/deliveries/{}/replay",
}
"""The public API as others write clients against it; it only grows."""
PASSWORDS = {"customer": ("c@example.com", "a long enough word"), "staff": STAFF}


def plain(route: Route) -> str:
    path = route.path.removeprefix("/api/v1")
    for name in route.path_names:
        path = path.replace(f"{{{name}}}", "{}")
    return f"{route.verb} {path}"


def test_the_published_routes_are_all_there() -> None:
    assert {plain(route) for route in ROUTES} == PUBLISHED


def test_everything_under_admin_is_for_staff_only() -> None:
    for route in ROUTES:
        assert (route.access is Access.STAFF) == ("/admin/" in route.path), route.path


def test_every_post_that_moves_money_stock_or_orders_demands_a_key() -> None:
    demanding = {plain(route) for route in ROUTES if route.needs_key}
    assert demanding >= {
        "POST /flash-sales/{}/orders",
        "POST /orders",
        "POST /orders/{}/cancel",
        "POST /admin/orders/{}/fulfilments",
        "POST /admin/orders/{}/refunds",
        "POST /admin/products",
    }


@pytest.fixture
async def shop(tmp_path: Path) -> Any:
    async with opened_shop(folder=tmp_path / "data") as opened:
        yield opened


async def test_each_route_opens_for_the_roles_it_names_and_no_others(shop: OpenedShop) -> None:
    tokens = {"nobody": None, "customer": await shop.member("c@example.com"), "staff": await shop.staff()}
    for route in ROUTES:
        path = route.path.removeprefix("/api/v1")
        for name in route.path_names:
            path = path.replace(f"{{{name}}}", "123456789")
        for role, token in tokens.items():
            if route.verb == "DELETE" and token:
                token = await shop.sign_in(*PASSWORDS[role])  # this route ends it, and the next ones need theirs
            body: Any = None if route.verb == "GET" else {}
            status, answer = await shop.request(route.verb, path, body, token=token, headers={"If-Match": '"1"'})
            said = (plain(route), role, status, answer)
            if route.access is Access.STAFF:
                assert {"nobody": status == 401, "customer": status == 403, "staff": status not in (401, 403)}[role], (
                    said
                )
            elif route.access is Access.MEMBER:
                assert (status == 401) == (role == "nobody"), said
                assert status != 403, said
            elif "webhooks" not in path:
                assert status not in (401, 403), said
            assert status < 500, said


async def test_a_forged_or_ended_session_is_refused_everywhere_but_on_public_reads(shop: OpenedShop) -> None:
    token = await shop.member("d@example.com")
    assert (await shop.request("GET", "/users/me", token=token))[0] == 200
    assert (await shop.request("DELETE", "/sessions/current", token=token))[0] == 204
    for bad in (token, token[:-2] + "xx", "1-2", "x" * 400, "-", "0-" + "a" * 43):
        assert (await shop.request("GET", "/users/me", token=bad))[0] == 401, bad
        assert (await shop.request("POST", "/carts", {}, token=bad))[0] == 401, bad
        assert (await shop.request("GET", "/products", token=bad))[0] == 200


async def test_whoever_signs_out_ends_their_own_session_only(shop: OpenedShop) -> None:
    staff, ada = await shop.staff(), await shop.member("ada@example.com")
    other = await shop.sign_in("ada@example.com", "a long enough word")

    assert (await shop.request("DELETE", "/sessions/current"))[0] == 401
    for ended, left in ((ada, (other, staff)), (staff, (other,))):
        assert (await shop.request("DELETE", "/sessions/current", token=ended))[0] == 204
        assert (await shop.request("DELETE", "/sessions/current", token=ended))[0] == 401
        assert (await shop.request("GET", "/users/me", token=ended))[0] == 401
        for token in left:
            assert (await shop.request("GET", "/users/me", token=token))[0] == 200
    assert (await shop.request("GET", "/admin/orders", token=staff))[0] == 401


async def test_another_members_order_and_cart_are_not_found(shop: OpenedShop) -> None:
    await shop.put_product("OWN")
    ada, eve = await shop.member("ada@example.com"), await shop.member("eve@example.com")
    status, order = await shop.order("OWN", token=ada)
    assert status == 201, order
    _, cart = await shop.request("POST", "/carts", {}, token=ada)
    for path in (f"/orders/{order['id']}", f"/carts/{cart['id']}"):
        assert (await shop.request("GET", path, token=ada))[0] == 200
        for stranger in (eve, None):
            assert (await shop.request("GET", path, token=stranger))[0] == 404
    for stranger in (eve, None):
        assert (await shop.request("POST", f"/orders/{order['id']}/cancel", token=stranger))[0] == 404
        put = await shop.request("PUT", f"/carts/{cart['id']}/lines/OWN", {"quantity": 1}, token=stranger)
        assert put[0] == 404
    assert (await shop.request("POST", f"/carts/{cart['id']}/claim"))[0] == 401
    assert (await shop.request("POST", f"/carts/{cart['id']}/claim", token=eve))[0] == 404
    assert (await shop.request("GET", "/carts/current", token=eve))[0] == 404
    stolen = await shop.request("POST", "/orders", _from_cart(cart["id"]), token=eve)
    assert stolen[0] == 404
    assert (await shop.request("GET", "/orders", token=eve))[1]["items"] == []


async def test_a_guests_order_and_cart_open_to_their_whole_name_only(shop: OpenedShop) -> None:
    await shop.put_product("GUEST")
    _, order = await shop.order("GUEST")
    _, cart = await shop.request("POST", "/carts", {})
    eve = await shop.member("eve@example.com")
    for kind, name in (("orders", order["id"]), ("carts", cart["id"])):
        assert len(name.partition("-")[2]) == 16
        assert (await shop.request("GET", f"/{kind}/{name}"))[0] == 200
        for wrong in _wrong_names(name):
            assert (await shop.request("GET", f"/{kind}/{wrong}"))[0] == 404, wrong
            assert (await shop.request("GET", f"/{kind}/{wrong}", token=eve))[0] == 404, wrong


async def test_a_guests_order_and_cart_are_changed_by_their_whole_name_only(shop: OpenedShop) -> None:
    await shop.put_product("MINE", stock=5)
    _, order = await shop.order("MINE")
    _, cart = await shop.request("POST", "/carts", {})
    await shop.request("PUT", f"/carts/{cart['id']}/lines/MINE", {"quantity": 1})
    eve, staff = await shop.member("eve@example.com"), await shop.staff()
    for token in (None, eve, staff):
        for wrong in _wrong_names(cart["id"]):
            put = await shop.request("PUT", f"/carts/{wrong}/lines/MINE", {"quantity": 3}, token=token)
            ordered = await shop.request("POST", "/orders", _from_cart(wrong), token=token)
            claimed = await shop.request("POST", f"/carts/{wrong}/claim", token=token)
            assert (put[0], ordered[0]) == (404, 404), wrong
            assert claimed[0] == (404 if token else 401), wrong
    for token in (None, eve):
        for wrong in _wrong_names(order["id"]):
            assert (await shop.request("POST", f"/orders/{wrong}/cancel", token=token))[0] == 404, wrong

    assert (await shop.request("GET", f"/orders/{order['id']}"))[1]["status"] == "placed"
    _, kept = await shop.request("GET", f"/carts/{cart['id']}")
    assert (kept["is_open"], kept["lines"]) == (True, [{"sku": "MINE", "quantity": 1}])
    assert (await shop.request("POST", "/orders", _from_cart(cart["id"])))[0] == 201
    assert (await shop.request("POST", f"/orders/{order['id']}/cancel"))[0] == 200


async def test_staff_see_every_order_and_only_staff_see_the_list(shop: OpenedShop) -> None:
    await shop.put_product("SEEN")
    _, order = await shop.order("SEEN")
    staff = await shop.staff()
    _, listed = await shop.request("GET", "/admin/orders?status=placed", token=staff)
    assert [item["number"] for item in listed["items"]] == [order["number"]]
    assert "email" not in str(listed)
    status, seen = await shop.request("GET", f"/orders/{listed['items'][0]['id']}", token=staff)
    assert (status, seen["number"]) == (200, order["number"])


def _wrong_names(name: str) -> tuple[str, ...]:
    """What somebody might try who knows the number but not the secret."""
    identifier, _, secret = name.partition("-")
    return (identifier, f"{identifier}-", f"{identifier}-{'a' * 16}", f"{identifier}-{secret[:-1]}", f"{name}x")


def _from_cart(cart: str) -> dict[str, Any]:
    body = order_body("X")
    del body["lines"]
    return {**body, "cart_id": cart}
