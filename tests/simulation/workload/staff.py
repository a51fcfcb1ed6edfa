"""The staff: they count stock, change prices, send out, give money back and cancel, while everybody buys.

Every count of stock is a line in inventory's ledger (received or written off), so pieces stay conserved.
"""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from tests.simulation.workload.client import Client
from tests.simulation.workload.scene import GOODS, HOT, SKUS, STAFF_LOGIN, variant

LOOKS = 4
"""How often somebody with nothing to do looks for an order."""
LOOKING_PAUSE_S = 2.0
Duty = Callable[[Client, Random], Awaitable[None]]


async def sign_in(client: Client, login: tuple[str, str] = STAFF_LOGIN) -> bool:
    client.chance_for("enter")
    session = await client.command("POST", "/sessions", {"email": login[0], "password": login[1]})
    if session is not None and session.status == 201:
        client.token = session.body["token"]
    return bool(client.token)


async def count_stock(client: Client, chance: Random) -> None:
    """Say how many there are, whatever was sold meanwhile; also none at all, below what is reserved."""
    sku, pieces = chance.choice((*SKUS, *HOT)), chance.choice((0, 2, 5, 9, 14))
    await client.command("PUT", f"/admin/inventory/{sku}", {"on_hand": pieces})


async def count_stock_carefully(client: Client, chance: Random) -> None:
    """Two of them count from the same figures at once: only one of them can be right."""
    sku, more = chance.choice(SKUS), chance.sample((1, 2, 3), 2)
    stock = await client.get(f"/admin/inventory/{sku}")
    if stock is None:
        return
    replies = await asyncio.gather(
        *(
            client.command(
                "PUT", f"/admin/inventory/{sku}", {"on_hand": stock["on_hand"] + each}, version=stock["version"]
            )
            for each in more
        )
    )
    if all(reply is not None and reply.status == 200 for reply in replies):
        client.complain("version", subject=sku, text=f"two counts of version {stock['version']} were both taken")


async def change_a_price(client: Client, chance: Random) -> None:
    """Other prices of a product, from the newest version; two changes at once, of which one comes too late."""
    good, times = chance.choice(GOODS), chance.choice((1, 2, 2))
    factor = chance.choice((50, 90, 99, 101, 110))
    product = await _product(client, good.product)
    if product is None:
        return
    goods = [each for each in GOODS if each.product == good.product]
    changes = [
        client.command(
            "PATCH",
            f"/admin/products/{product['id']}",
            {"variants": [variant(each, _changed(each.prices, factor, number)) for each in goods]},
            version=product["version"],
        )
        for number in range(times)
    ]
    replies = await asyncio.gather(*changes)
    taken = [reply for reply in replies if reply is not None and reply.status == 200]
    if sum(reply.body["version"] > product["version"] for reply in taken) > 1:
        client.complain("version", subject=good.product, text="two changes of one version were both taken")


async def change_prices_in_a_row(client: Client, chance: Random) -> None:
    """A change of mind: the news of each version is still on its way when the next one is made."""
    good, times = chance.choice(GOODS), chance.choice((2, 3, 4))
    factors = [chance.choice((90, 99, 101, 110)) for _ in range(times)]
    goods = [each for each in GOODS if each.product == good.product]
    product = await _product(client, good.product)
    for number, factor in enumerate(factors):
        if product is None:
            return
        changed = {"variants": [variant(each, _changed(each.prices, factor, number)) for each in goods]}
        path = f"/admin/products/{product['id']}"
        reply = await client.command("PATCH", path, changed, version=product["version"])
        product = reply.body if reply is not None and reply.status == 200 else None


async def take_off_the_shelf(client: Client, chance: Random) -> None:
    """Archive a product for a moment: what is ordered meanwhile is refused, what was ordered stays."""
    name, seconds = chance.choice(GOODS).product, chance.uniform(0.5, 2)
    for status in ("archived", "active"):
        product = await _product(client, name)
        if product is not None:
            path = f"/admin/products/{product['id']}"
            await client.command("PATCH", path, {"status": status}, version=product["version"])
        await client.pause(seconds)


async def send_out(client: Client, chance: Random) -> None:
    """Some pieces or all, perhaps clicked twice, perhaps just as the order is cancelled."""
    is_partial, is_cancelling, times = chance.random() < 0.4, chance.random() < 0.4, chance.choice((1, 2))
    order = await _some_order(client, chance)
    if order is None:
        return
    body = {"lines": [{"sku": order["lines"][0]["sku"], "quantity": 1}]} if is_partial else {}
    sending = client.request("POST", f"/admin/orders/{order['id']}/fulfilments", body)
    acts = [client.insist(sending) for _ in range(times)]
    if is_cancelling:
        acts.append(client.insist(client.request("POST", f"/orders/{order['id']}/cancel")))
    replies = await asyncio.gather(*acts)
    if is_cancelling and all(reply is not None and reply.status < 300 for reply in replies):
        client.complain("states", subject=order["id"], text="sent out and cancelled at once")


async def give_back(client: Client, chance: Random) -> None:
    """A part, twice at once, or all; with pieces that came back or without."""
    is_sent = chance.random() < 0.6  # what was never sent cannot come back
    kind, is_restocking = chance.choice(("part", "parts at once", "all")), chance.random() < 0.5
    order = await _some_order(client, chance)
    if order is None:
        return
    total = order["total"]["amount"]
    body: dict[str, Any] = {"reason": "did not fit"}
    if kind != "all":
        body["amount"] = max(1, total * chance.choice((1, 33, 51, 100)) // 100)
    if is_restocking:
        if is_sent:
            await client.command("POST", f"/admin/orders/{order['id']}/fulfilments", {})
        body["restock"] = [{"sku": order["lines"][0]["sku"], "quantity": 1}]
    path, times = f"/admin/orders/{order['id']}/refunds", 2 if kind == "parts at once" else 1
    replies = await asyncio.gather(*(client.command("POST", path, body) for _ in range(times)))
    back = sum(body.get("amount", 0) for reply in replies if reply is not None and reply.status == 201)
    if back > total:
        client.complain("money", subject=order["id"], text=f"{back} of {total} are given back")


async def cancel_for_somebody(client: Client, chance: Random) -> None:
    order = await _some_order(client, chance)
    if order is not None:
        await client.command("POST", f"/orders/{order['id']}/cancel")


async def look_at_everything(client: Client, chance: Random) -> None:
    """Lists, stock and an order's history."""
    status = chance.choice(("pending", "placed", "cancelled", "completed", "rejected"))
    page = await client.get(f"/admin/orders?status={status}&limit=100")
    await client.get(f"/admin/inventory/{chance.choice(SKUS)}")
    await client.get("/admin/products?order=slug&limit=50")
    for item in page["items"][:1] if page is not None else ():
        await client.get(f"/admin/orders/{item['id']}/history")


DUTIES: dict[Duty, int] = {
    count_stock: 4,
    count_stock_carefully: 3,
    change_a_price: 3,
    change_prices_in_a_row: 3,
    take_off_the_shelf: 1,
    send_out: 4,
    give_back: 4,
    cancel_for_somebody: 1,
    look_at_everything: 1,
}
"""How likely each is."""


def _changed(prices: dict[str, int], percent: int, more: int) -> dict[str, int]:
    return {currency: max(1, amount * percent // 100) + more for currency, amount in prices.items()}


async def _product(client: Client, slug: str) -> Any:
    """The newest record of a product, found through the staff's own list."""
    page = await client.get(f"/admin/products?q={slug}&limit=50")
    for item in page["items"] if page is not None else ():
        if item["slug"] == slug:
            return await client.get(f"/admin/products/{item['id']}")
    return None


async def _some_order(client: Client, chance: Random) -> Any:
    """One of the newest orders that are placed or, more seldom, of any state."""
    query, number = chance.choice(("&status=placed", "&status=placed", "&status=completed", "")), chance.random()
    for _ in range(LOOKS):
        page = await client.get(f"/admin/orders?limit=10{query}")
        if page is not None and page["items"]:
            item = page["items"][int(number * len(page["items"]))]
            return await client.get(f"/orders/{item['id']}")
        await client.pause(LOOKING_PAUSE_S)
    return None
