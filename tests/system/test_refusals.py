"""Bad input and trouble over HTTP: each gets a clear problem and leaves nothing half done."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests import audits
from tests.shops import ADDRESS, OpenedShop, opened_shop, order_body


@pytest.fixture
async def shop(tmp_path: Path) -> Any:
    async with opened_shop(folder=tmp_path / "data") as opened:
        await opened.put_product("HAT", stock=5)
        yield opened
        await audits.drained(opened.shop)
        await audits.everything_balances(opened.shop)


@pytest.mark.parametrize(
    "path", ["/products/1", "/products/no-such", "/orders/1", "/orders/1-abc", "/orders/x", "/carts/1", "/carts/💥"]
)
async def test_what_does_not_exist_is_not_found(shop: OpenedShop, path: str) -> None:
    status, problem = await shop.request("GET", path)
    assert (status, problem["status"]) == (404, 404)
    assert problem["code"].endswith("not_found")


async def test_an_address_that_no_mail_can_go_to_is_refused(shop: OpenedShop) -> None:
    status, problem = await shop.request("POST", "/orders", order_body("HAT", email="ada@example.com\n"))
    assert (status, problem["code"], problem["pointer"]) == (400, "request.invalid", "/email")


@pytest.mark.parametrize("quantity", [0, -1, 10**9, 10**30, 1.5, "2", "two", None, True, [1]])
async def test_a_quantity_must_be_a_sensible_number(shop: OpenedShop, quantity: Any) -> None:
    body = order_body("HAT")
    body["lines"][0]["quantity"] = quantity
    status, problem = await shop.request("POST", "/orders", body)
    assert (status, problem["code"]) == (400, "request.invalid")
    assert problem["pointer"] == "/lines/0/quantity"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"email": "not an address"}, "/email"),
        ({"email": 7}, "/email"),
        ({"shipping_address": {}}, "/shipping_address"),
        ({"shipping_address": {**ADDRESS, "country": "Britain"}}, "/shipping_address/country"),
        ({"payment": {"provider": "sandbox"}}, "/payment"),
        ({"lines": [{"sku": "HAT", "quantity": 1}] * 500}, "/lines"),
        ({"lines": "HAT"}, "/lines"),
    ],
)
async def test_a_wrong_field_is_pointed_at(shop: OpenedShop, change: dict[str, Any], pointer: str) -> None:
    status, problem = await shop.request("POST", "/orders", {**order_body("HAT"), **change})
    assert (status, problem["code"], problem["pointer"]) == (400, "request.invalid", pointer)


async def test_an_order_needs_lines_or_a_cart(shop: OpenedShop) -> None:
    neither = order_body("HAT")
    del neither["lines"]
    for body in (neither, order_body("HAT", lines=[]), order_body("HAT", cart_id="1-x")):
        status, problem = await shop.request("POST", "/orders", body)
        assert status in (400, 404), problem


async def test_what_is_not_sold_cannot_be_bought(shop: OpenedShop) -> None:
    status, problem = await shop.order("NO-SUCH")
    assert (status, problem["code"], problem["sku"]) == (409, "orders.not_for_sale", "NO-SUCH")


async def test_more_than_there_is_says_what_is_left(shop: OpenedShop) -> None:
    status, problem = await shop.order("HAT", quantity=6)
    assert (status, problem["code"], problem["sku"], problem["left"]) == (409, "inventory.out_of_stock", "HAT", 5)
    assert (await shop.order("HAT", quantity=5))[0] == 201


async def test_an_order_without_a_key_is_refused(shop: OpenedShop) -> None:
    async with shop.session.post("/api/v1/orders", json=order_body("HAT")) as response:
        assert response.status == 400
        assert (await response.json())["code"] == "idempotency.key_missing"


async def test_the_same_key_for_another_order_is_refused(shop: OpenedShop) -> None:
    assert (await shop.order("HAT", key="one"))[0] == 201
    status, problem = await shop.order("HAT", quantity=2, key="one")
    assert (status, problem["code"]) == (422, "idempotency.key_reused")


async def test_the_same_key_at_the_same_moment_is_one_order_and_one_answer(shop: OpenedShop) -> None:
    answers = await asyncio.gather(*(shop.order("HAT", key="same") for _ in range(12)))
    assert {status for status, _ in answers} == {201}
    assert len({answer["id"] for _, answer in answers}) == 1
    assert all(answer == answers[0][1] for _, answer in answers)
    assert (await shop.inventory.stock(sku="HAT")).available == 4


async def test_a_declined_card_is_said_again_for_the_same_key(shop: OpenedShop) -> None:
    first = await shop.order("HAT", pay="tok_declined", key="poor")
    again = await shop.order("HAT", pay="tok_declined", key="poor")
    assert first == again
    assert (first[0], first[1]["code"]) == (402, "payments.declined")


async def test_a_price_or_total_sent_by_the_client_is_ignored(shop: OpenedShop) -> None:
    body = order_body("HAT", total={"amount": 1, "currency": "USD"}, subtotal=1, adjustments=[])
    body["lines"][0] |= {"unit_price": {"amount": 1, "currency": "USD"}, "price": 1}
    status, order = await shop.request("POST", "/orders", body)
    assert (status, order["subtotal"]["amount"]) == (201, 1999)


async def test_a_changed_quote_is_told_before_anything_is_bought(shop: OpenedShop) -> None:
    _, cart = await shop.request("POST", "/carts", {})
    _, cart = await shop.request("PUT", f"/carts/{cart['id']}/lines/HAT", {"quantity": 1})
    shown = cart["quote"]["fingerprint"]
    staff = await shop.staff()
    _, listed = await shop.request("GET", "/products?limit=1")
    path = f"/admin/products/{listed['items'][0]['id']}"
    _, record = await shop.request("GET", path, token=staff)
    prices = [{"amount": 2999, "currency": "USD"}]
    patch = {"variants": [{"sku": "HAT", "prices": prices, "weight_grams": 300}]}
    status, changed = await shop.request(
        "PATCH", path, patch, token=staff, headers={"If-Match": f'"{record["version"]}"'}
    )
    assert status == 200, changed

    body = order_body("HAT", cart_id=cart["id"], quote=shown)
    del body["lines"]
    status, problem = await shop.request("POST", "/orders", body)
    assert (status, problem["code"]) == (409, "orders.quote_changed")
    status, order = await shop.request("POST", "/orders", {**body, "quote": problem["fingerprint"]})
    assert (status, order["subtotal"]["amount"]) == (201, 2999)


async def test_stock_below_what_is_reserved_and_stale_edits_are_refused(shop: OpenedShop) -> None:
    staff = await shop.staff()
    status, stock = await shop.request("GET", "/admin/inventory/HAT", token=staff)
    assert status == 200
    stale = {"If-Match": f'"{stock["version"] + 100}"'}
    status, problem = await shop.request("PUT", "/admin/inventory/HAT", {"on_hand": 9}, token=staff, headers=stale)
    assert (status, problem["code"]) == (412, "inventory.version_conflict")
    assert (await shop.order("HAT", quantity=3, pay="tok_late"))[0] == 201
    status, problem = await shop.request("PUT", "/admin/inventory/HAT", {"on_hand": 1}, token=staff)
    assert (status, problem["code"]) == (409, "inventory.below_reserved")


@pytest.mark.parametrize("token", ["tok_late", "tok_twice", "tok_timeout"])
async def test_an_uncertain_payment_is_pending_and_settled_soon(shop: OpenedShop, token: str) -> None:
    status, order = await shop.order("HAT", pay=token)
    assert (status, order["status"]) == (201, "pending")
    await audits.drained(shop.shop)
    _, settled = await shop.request("GET", f"/orders/{order['id']}")
    assert settled["status"] == "placed"


async def test_a_cancelled_order_gives_stock_and_money_back(shop: OpenedShop) -> None:
    _, order = await shop.order("HAT", quantity=2)
    status, cancelled = await shop.request("POST", f"/orders/{order['id']}/cancel")
    assert (status, cancelled["status"]) == (200, "cancelled")
    await audits.drained(shop.shop)
    assert (await shop.inventory.stock(sku="HAT")).available == 5
    _, seen = await shop.request("GET", f"/orders/{order['id']}")
    assert seen["payments"][0]["refunded"] == order["total"]["amount"]
    assert (await shop.request("POST", f"/orders/{order['id']}/cancel"))[0] == 409


async def test_a_forged_webhook_makes_nothing_true(shop: OpenedShop) -> None:
    _, order = await shop.order("HAT", pay="tok_late")
    forged = {"type": "captured", "key": order["id"].partition("-")[0]}
    headers = {"webhook-id": "x", "webhook-timestamp": "1", "webhook-signature": "v1,eHg="}
    status, problem = await shop.request("POST", "/webhooks/payments/sandbox", forged, headers=headers)
    assert (status, problem["code"]) == (401, "payments.webhook_refused")
    assert (await shop.request("POST", "/webhooks/payments/nobody", forged))[0] in (400, 404)


async def test_an_order_is_sent_out_in_parts_and_money_is_given_back_in_parts(shop: OpenedShop) -> None:
    staff = await shop.staff()
    _, order = await shop.order("HAT", quantity=3)
    path = f"/admin/orders/{order['id'].partition('-')[0]}"
    part = {"lines": [{"sku": "HAT", "quantity": 1}], "parcels": [{"carrier": "Post", "tracking_number": "X1"}]}
    status, sent = await shop.request("POST", f"{path}/fulfilments", part, token=staff)
    assert (status, sent["status"], sent["lines"][0]["fulfilled"]) == (201, "placed", 1)
    assert (await shop.request("POST", f"/orders/{order['id']}/cancel"))[0] == 409
    much = {"lines": [{"sku": "HAT", "quantity": 3}]}
    assert (await shop.request("POST", f"{path}/fulfilments", much, token=staff))[0] == 409
    status, sent = await shop.request("POST", f"{path}/fulfilments", {}, token=staff)
    assert (status, sent["status"]) == (201, "completed")
    status, refunded = await shop.request("POST", f"{path}/refunds", {"amount": 500, "reason": "scratch"}, token=staff)
    assert (status, refunded["payments"][0]["refunded"]) == (201, 500)
    too_much = {"amount": order["total"]["amount"]}
    assert (await shop.request("POST", f"{path}/refunds", too_much, token=staff))[0] == 409


async def test_a_guests_cart_is_merged_when_its_owner_signs_in_and_ordered_once(shop: OpenedShop) -> None:
    _, guest = await shop.request("POST", "/carts", {})
    await shop.request("PUT", f"/carts/{guest['id']}/lines/HAT", {"quantity": 1})
    token = await shop.member("ada@example.com")
    _, own = await shop.request("POST", "/carts", {}, token=token)
    await shop.request("PUT", f"/carts/{own['id']}/lines/HAT", {"quantity": 2}, token=token)
    status, merged = await shop.request("POST", f"/carts/{guest['id']}/claim", token=token)
    assert status in (200, 201), merged
    assert merged["lines"] == [{"sku": "HAT", "quantity": 3}]
    body = order_body("HAT", cart_id=merged["id"])
    del body["lines"]
    assert (await shop.request("POST", "/orders", body, token=token))[0] == 201
    status, problem = await shop.request("POST", "/orders", body, token=token)
    assert status == 409, problem


async def test_chinese_names_and_yuan_come_with_language_and_currency(shop: OpenedShop) -> None:
    _, listed = await shop.request("GET", "/products?currency=CNY", headers={"Accept-Language": "zh-CN"})
    assert listed["items"][0]["name"] == "商品 HAT"
    assert listed["items"][0]["variants"][0]["price"] == {"amount": 12900, "currency": "CNY"}
    status, order = await shop.request("POST", "/orders", order_body("HAT", currency="EUR"))
    assert (status, order["currency"]) == (201, "EUR")
    tax = [step for step in order["adjustments"] if step["kind"] == "tax" and step["line"]]
    assert tax[0]["included"] is True
