"""A small real shop in which everything happens that the invariants speak of, and the evidence of it."""

from pathlib import Path
from typing import Any

from tests import audits
from tests.shops import ADDRESS, OpenedShop, opened_shop, order_body
from tests.simulation.invariants.collect import collect
from tests.simulation.invariants.evidence import Evidence
from tests.simulation.workload.door import Door, History, Reply

RECEIVED = {"HAT": 30, "SHOE": 12, "LAST": 1, "NONE": 0}


class HttpDoor:
    """The door of an opened shop."""

    def __init__(self, opened: OpenedShop) -> None:
        self._opened = opened

    async def request(
        self, verb: str, path: str, body: Any = None, *, token: str = "", key: str = "", version: int | None = None
    ) -> Reply:
        headers = {"If-Match": "*" if version is None else f'"{version}"'} if verb == "PATCH" else None
        status, answer = await self._opened.request(
            verb, path, body, token=token or None, key=key or None, headers=headers
        )
        return Reply(status, answer)


class Clients:
    """Everybody who comes to the shop, each with a door of their own."""

    def __init__(self, opened: OpenedShop, history: History) -> None:
        self._opened = opened
        self._door = HttpDoor(opened)
        self._history = history
        self._keys = 0

    def key(self) -> str:
        self._keys += 1
        return f"key-{self._keys}"

    def of(self, actor: str) -> Door:
        return self._history.door(self._door, actor=actor)

    async def told(self, actor: str, verb: str, path: str, body: Any = None, *, token: str = "", key: str = "") -> Any:
        """The body of an answer that must be a yes."""
        reply = await self.of(actor).request(verb, path, body, token=token, key=key or self.key())
        assert reply.status < 300, reply
        return reply.body

    async def refused(
        self, actor: str, verb: str, path: str, body: Any = None, *, token: str = "", key: str = ""
    ) -> str:
        reply = await self.of(actor).request(verb, path, body, token=token, key=key or self.key())
        assert 400 <= reply.status < 500, reply
        return str(reply.body["code"])


async def healthy(folder: Path) -> Evidence:
    """The evidence of a shop that was open for a moment: orders of every end, refunds, returns, changes, refusals."""
    async with opened_shop(folder=folder / "shop") as opened:
        for sku, stock in RECEIVED.items():
            await opened.put_product(sku, stock=stock)
        moments = iter(range(1_000_000))
        history = History(lambda: float(next(moments)))
        clients = Clients(opened, history)
        staff = await opened.staff()
        await _buy(clients, opened)
        await _fill_carts(clients)
        await _hold_a_flash_sale(clients, staff)
        await _keep_shop(clients, opened, staff)
        await audits.drained(opened.shop)
        await opened.shop.settle()
        await audits.drained(opened.shop)
        return await collect(opened.shop, operations=history.operations, received=RECEIVED)


async def _buy(clients: Clients, opened: OpenedShop) -> None:
    """Guests: placed, again with the same key, for something else with it, declined, late, sold out, cancelled."""
    key = clients.key()
    placed = await clients.told("ada", "POST", "/orders", order_body("HAT", quantity=2), key=key)
    again = await clients.told("ada", "POST", "/orders", order_body("HAT", quantity=2), key=key)
    assert again == placed
    assert await clients.refused("ada", "POST", "/orders", order_body("HAT", quantity=3), key=key)
    await clients.told("ada", "GET", f"/orders/{placed['id']}")
    declined = order_body("SHOE", pay="tok_declined")
    key = clients.key()
    assert await clients.refused("bob", "POST", "/orders", declined, key=key) == "payments.declined"
    assert await clients.refused("bob", "POST", "/orders", declined, key=key) == "payments.declined"
    late = await clients.told("cyd", "POST", "/orders", order_body("SHOE", pay="tok_twice"))
    assert late["status"] == "pending"
    await clients.told("dan", "POST", "/orders", order_body("LAST"))
    assert await clients.refused("eve", "POST", "/orders", order_body("LAST")) == "inventory.out_of_stock"
    regretted = await clients.told("fay", "POST", "/orders", order_body("HAT", quantity=3))
    key = clients.key()
    for _ in range(2):
        await clients.told("fay", "POST", f"/orders/{regretted['id']}/cancel", key=key)
    await clients.told("fay", "GET", f"/orders/{regretted['id']}")


async def _hold_a_flash_sale(clients: Clients, staff: str) -> None:
    """Members buy, are declined, want too much, and come too late."""
    sale = {
        "sku": "HAT",
        "price": {"amount": 999, "currency": "USD"},
        "quantity": 3,
        "limit_per_buyer": 2,
        "starts_at": "2020-01-01T00:00:00Z",
        "ends_at": "2100-01-01T00:00:00Z",
    }
    path = f"/flash-sales/{(await clients.told('staff', 'POST', '/admin/flash-sales', sale, token=staff))['id']}"

    async def come(name: str, *, quantity: int, pay: str = "tok_success", refused: str = "") -> None:
        account = {"email": f"{name}@example.com", "password": "a long enough word"}
        await clients.of(name).request("POST", "/users", account | {"name": name}, key=clients.key())
        token = (await clients.told(name, "POST", "/sessions", account))["token"]
        ticket = (await clients.told(name, "GET", f"{path}/ticket", token=token))["ticket"]
        bought = {key: value for key, value in order_body("HAT", pay=pay).items() if key != "lines"}
        wanted = bought | {"ticket": ticket, "quantity": quantity}
        if not refused:
            await clients.told(name, "POST", f"{path}/orders", wanted, token=token)
        else:
            assert await clients.refused(name, "POST", f"{path}/orders", wanted, token=token) == refused

    await come("kim", quantity=2)
    await come("kim", quantity=1, refused="promotions.over_limit")
    await come("lea", quantity=2, refused="promotions.sold_out")
    await come("lea", quantity=1)
    await come("max", quantity=1, refused="promotions.sold_out")


async def _fill_carts(clients: Clients) -> None:
    """A guest orders by a shown quote, a member by a cart that goes on, another guest leaves."""
    cart = await clients.told("gil", "POST", "/carts", {})
    name = cart["id"]
    for sku, quantity in (("HAT", 1), ("SHOE", 2), ("HAT", 2), ("SHOE", 1)):
        cart = await clients.told("gil", "PUT", f"/carts/{name}/lines/{sku}", {"quantity": quantity})
    cart = await clients.told("gil", "GET", f"/carts/{name}")
    bought = {key: value for key, value in order_body("HAT").items() if key != "lines"}
    draft = {**bought, "cart_id": name, "quote": cart["quote"]["fingerprint"]}
    await clients.told("gil", "POST", "/orders", draft)
    account = {"email": "hal@example.com", "password": "a long enough word", "name": "Hal"}
    await clients.told("hal", "POST", "/users", account)
    token = (
        await clients.told("hal", "POST", "/sessions", {"email": account["email"], "password": account["password"]})
    )["token"]
    await clients.told("hal", "POST", "/users/me/addresses", {"address": ADDRESS}, token=token)
    cart = await clients.told("hal", "POST", "/carts", {}, token=token)
    await clients.told("hal", "PUT", f"/carts/{cart['id']}/lines/HAT", {"quantity": 1}, token=token)
    waiting = {**bought, "cart_id": cart["id"], "payment": {"provider": "sandbox", "token": "tok_twice"}}
    order = await clients.told("hal", "POST", "/orders", waiting, token=token)
    assert order["status"] == "pending"
    await clients.told("hal", "PUT", f"/carts/{cart['id']}/lines/SHOE", {"quantity": 2}, token=token)
    left = await clients.told("ian", "POST", "/carts", {})
    await clients.told("ian", "PUT", f"/carts/{left['id']}/lines/HAT", {"quantity": 4})
    await clients.told("ian", "PUT", f"/carts/{left['id']}/lines/SHOE", {"quantity": 1})
    await clients.told("ian", "PUT", f"/carts/{left['id']}/lines/SHOE", {"quantity": 0})


async def _keep_shop(clients: Clients, opened: OpenedShop, staff: str) -> None:
    """Staff: prices, counts, parcels, returns, refunds and their refusals."""

    async def told(verb: str, path: str, body: Any = None, *, key: str = "") -> Any:
        return await clients.told("staff", verb, path, body, token=staff, key=key)

    products = (await told("GET", "/admin/products"))["items"]
    hat = next(product["id"] for product in products if product["slug"] == "hat")
    record = await told("GET", f"/admin/products/{hat}")
    [variant] = record["draft"]["variants"]
    variant["prices"] = [{"amount": 2099, "currency": "USD"}]
    key = clients.key()
    for _ in range(2):
        await told("PATCH", f"/admin/products/{hat}", {"variants": [variant]}, key=key)
    await told("GET", f"/admin/products/{hat}")
    await told("GET", "/admin/inventory/NONE")
    await told("PUT", "/admin/inventory/NONE", {"on_hand": 5})
    await told("PUT", "/admin/inventory/NONE", {"on_hand": 4})
    bought = await clients.told("jan", "POST", "/orders", order_body("NONE", quantity=4))
    order_id = bought["id"].partition("-")[0]
    await told("POST", f"/admin/orders/{order_id}/fulfilments", {})
    restock = {"amount": 500, "reason": "too small", "restock": [{"sku": "NONE", "quantity": 1}]}
    key = clients.key()
    for _ in range(2):
        await told("POST", f"/admin/orders/{order_id}/refunds", restock, key=key)
    too_much = {"amount": 10**9}
    await clients.refused("staff", "POST", f"/admin/orders/{order_id}/refunds", too_much, token=staff)
    await told("GET", f"/orders/{order_id}")
    await told("GET", "/admin/inventory/NONE")
    await told("GET", "/admin/inventory/HAT")
