"""A flash sale in the whole shop: shoppers at once, limits, declined cards, and what the door says."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from hansa.services.orders import tables as order_tables
from hansa.services.promotions import tables
from tests import audits
from tests.shops import ADDRESS, OpenedShop

SHOPPERS = 64
PIECES = 10
LIVING = ("pending", "placed", "completed")


async def announce(shop: OpenedShop, *, staff: str, quantity: int, limit: int = 1, starts_in_s: float = 0) -> Any:
    now = datetime.now(UTC)
    status, sale = await shop.request(
        "POST",
        "/admin/flash-sales",
        {
            "sku": "RUSH",
            "price": {"amount": 999, "currency": "EUR"},
            "quantity": quantity,
            "limit_per_buyer": limit,
            "starts_at": (now + timedelta(seconds=starts_in_s)).isoformat(),
            "ends_at": (now + timedelta(hours=1)).isoformat(),
        },
        token=staff,
    )
    assert status == 201, sale
    return sale


async def members(shop: OpenedShop, number: int) -> list[str]:
    return list(await asyncio.gather(*(shop.member(f"shopper{index}@example.com") for index in range(number))))


async def ticket(shop: OpenedShop, sale: Any, token: str) -> str:
    status, answer = await shop.request("GET", f"/flash-sales/{sale['id']}/ticket", token=token)
    assert status == 200, answer
    return str(answer["ticket"])


async def buy(
    shop: OpenedShop,
    sale: Any,
    token: str,
    *,
    pay: str = "tok_success",
    quantity: int = 1,
    key: str | None = None,
    shown: str | None = None,
) -> tuple[int, Any]:
    body = {
        "ticket": await ticket(shop, sale, token) if shown is None else shown,
        "quantity": quantity,
        "email": "ada@example.com",
        "shipping_address": ADDRESS,
        "payment": {"provider": "sandbox", "token": pay},
    }
    return await shop.request("POST", f"/flash-sales/{sale['id']}/orders", body, token=token, key=key)


async def claims_are_the_orders(shop: OpenedShop, sale: Any) -> int:
    """Every living order of the sale has its claim, and nobody else has; how many pieces that is."""
    await audits.drained(shop.shop)
    await audits.everything_balances(shop.shop)
    claims = await audits.rows(shop.shop, "promotions", tables.FLASH_CLAIMS)
    orders = await audits.rows(shop.shop, "orders", order_tables.ORDERS)
    held = {row["order_id"]: row["quantity"] for row in claims if row["state"] == "held"}
    living = {
        row["order_id"]: row["pieces"]
        for row in orders
        if row["status"] in LIVING and f'"code":"{sale["id"]}"' in row["adjustments"]
    }
    assert held == living
    [kept] = await audits.rows(shop.shop, "promotions", tables.FLASH_SALES)
    assert kept["claimed"] == sum(held.values())
    return sum(held.values())


async def test_sixty_four_shoppers_get_exactly_the_ten_pieces_at_the_sales_price(shop: OpenedShop) -> None:
    await shop.put_product("RUSH", stock=100)
    sale = await announce(shop, staff=await shop.staff(), quantity=PIECES)
    tokens = await members(shop, SHOPPERS)

    answers = await asyncio.gather(*(buy(shop, sale, token) for token in tokens))

    assert Counter(status for status, _ in answers) == {201: PIECES, 409: SHOPPERS - PIECES}
    assert {answer["code"] for status, answer in answers if status == 409} == {"promotions.sold_out"}
    for order in (answer for status, answer in answers if status == 201):
        goods = sum(step["amount"]["amount"] for step in order["adjustments"] if step["kind"] == "promotion")
        assert order["subtotal"]["amount"] + goods == 999
    _, shown = await shop.request("GET", f"/flash-sales/{sale['id']}")
    assert (shown["state"], shown["roughly_left"]) == ("sold_out", 0)
    assert await claims_are_the_orders(shop, sale) == PIECES
    assert (await shop.inventory.stock(sku="RUSH")).sold == PIECES


async def test_declined_cards_give_back_and_every_piece_is_sold_in_the_end(shop: OpenedShop) -> None:
    await shop.put_product("RUSH", stock=100)
    sale = await announce(shop, staff=await shop.staff(), quantity=PIECES)
    tokens = await members(shop, 24)

    async def insist(number: int, token: str) -> int:
        status, _ = await buy(shop, sale, token, pay="tok_declined" if number % 2 else "tok_success")
        return status

    first = await asyncio.gather(*(insist(number, token) for number, token in enumerate(tokens)))
    await audits.drained(shop.shop)
    later = [(await buy(shop, sale, token))[0] for token in tokens[1::2]]

    sold = Counter((*first, *later))
    assert sold[201] == PIECES
    assert sold.keys() <= {201, 402, 409}
    assert await claims_are_the_orders(shop, sale) == PIECES


async def test_nobody_gets_more_than_the_limit_in_however_many_orders_at_once(shop: OpenedShop) -> None:
    await shop.put_product("RUSH", stock=100)
    sale = await announce(shop, staff=await shop.staff(), quantity=50, limit=2)
    [token] = await members(shop, 1)

    answers = await asyncio.gather(*(buy(shop, sale, token, quantity=2) for _ in range(2)))
    late = await buy(shop, sale, token)

    assert sorted(status for status, _ in answers) == [201, 403]
    assert (late[0], late[1]["code"], late[1]["bought"]) == (403, "promotions.over_limit", 2)
    assert await claims_are_the_orders(shop, sale) == 2


async def test_a_buyer_whose_answer_was_lost_gets_it_again_after_everything_was_sold(shop: OpenedShop) -> None:
    await shop.put_product("RUSH", stock=100)
    sale = await announce(shop, staff=await shop.staff(), quantity=1)
    ada, bob = await members(shop, 2)
    status, order = await buy(shop, sale, ada, key="lost")
    assert status == 201

    assert (await buy(shop, sale, bob))[0] == 409
    status, again = await buy(shop, sale, ada, key="lost")

    assert (status, again["id"]) == (201, order["id"])


async def test_the_door_says_who_when_and_whether(shop: OpenedShop) -> None:
    await shop.put_product("RUSH", stock=100)
    staff, [token] = await shop.staff(), await members(shop, 1)
    sale = await announce(shop, staff=staff, quantity=1, starts_in_s=600)
    path = f"/flash-sales/{sale['id']}"

    assert (await buy(shop, sale, token, shown=""))[0] == 425
    assert (await buy(shop, sale, token, shown=""))[0] == 425, "also when the door knows"
    status, answer = await shop.request("GET", f"{path}/ticket", token=token)
    assert (status, answer["code"]) == (425, "promotions.too_early")
    assert answer["starts_at"] == sale["starts_at"]
    for verb, address in (("POST", f"{path}/orders"), ("GET", f"{path}/ticket"), ("GET", f"{path}/place")):
        assert (await shop.request(verb, address, {} if verb == "POST" else None))[0] == 401
    assert (await buy(shop, {"id": "4242"}, token, shown="x"))[0] == 404
    assert (await shop.request("GET", "/flash-sales/hats"))[0] == 404
    status, listed = await shop.request("GET", "/flash-sales")
    assert [each["state"] for each in listed["items"]] == ["scheduled"]
    status, place = await shop.request("GET", f"{path}/place", token=token)
    assert (place["place"], place["waiting"], place["state"]) == (0, 0, "scheduled")
    assert (await shop.request("POST", f"/admin{path}/cancel", token=token))[0] == 403
    assert (await shop.request("POST", f"/admin{path}/cancel", token=staff))[0] == 200
    status, answer = await buy(shop, sale, token, shown="")
    assert (status, answer["code"]) == (409, "promotions.ended")


async def test_without_a_good_ticket_nobody_buys(shop: OpenedShop) -> None:
    await shop.put_product("RUSH", stock=100)
    sale = await announce(shop, staff=await shop.staff(), quantity=5)
    ada, bob = await members(shop, 2)
    for shown in ("", "1.x", await ticket(shop, sale, bob)):
        status, answer = await buy(shop, sale, ada, shown=shown)
        assert (status, answer["code"]) == (403, "promotions.ticket_invalid")

    assert await claims_are_the_orders(shop, sale) == 0
