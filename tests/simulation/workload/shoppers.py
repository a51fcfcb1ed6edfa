"""A shopper: who they are, what they hold in their hands, and the few things that every visit is made of."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

from tests.simulation.workload.client import Client
from tests.simulation.workload.door import Reply
from tests.simulation.workload.journal import Request
from tests.simulation.workload.scene import ADDRESSES, ARRIVING, CURRENCIES, HOT, SKUS, TOKENS

PASSWORD = "a long enough word"
MEMBERS = 0.4
"""How many of the shoppers have an account."""
SHARE_OF_HOT = 0.3
LATE_TOKENS = ("tok_late", "tok_twice", "tok_timeout")


class Shopper:
    """One person, with or without an account, over all of their visits."""

    def __init__(self, client: Client) -> None:
        chance = client.chance_for("birth")
        self.client = client
        self.is_member = chance.random() < MEMBERS
        self.address = chance.choice(ADDRESSES)
        self.currency = chance.choice(CURRENCIES)
        self.email = f"{client.key()}@example.com".lower()
        self.orders: list[str] = []
        """Names of own orders, the latest last."""
        self.ordered_carts: list[str] = []
        """Carts of which an order was tried: they may close at any moment."""

    async def enter(self) -> None:
        """Get an account and sign in; who does not come through with that buys as a guest."""
        if not self.is_member:
            return
        times = self.client.chance_for("enter").choice((1, 1, 2))
        account = {"email": self.email, "password": PASSWORD, "name": "A Member"}
        replies = await asyncio.gather(*(self.client.command("POST", "/users", account) for _ in range(times)))
        made = [reply.body["id"] for reply in replies if reply is not None and reply.status == 201]
        if len(set(made)) > 1:
            self.client.complain("accounts", subject=made[0], text=f"one address, several accounts: {made}")
        expects = () if made else ("users.wrong_credentials",)
        credentials = {"email": self.email, "password": PASSWORD}
        session = await self.client.command("POST", "/sessions", credentials, expects=expects)
        if session is not None and session.status == 201:
            self.client.token = session.body["token"]

    def sku(self, chance: Random) -> str:
        """Often what everybody wants, seldom what is not there yet or never was."""
        if chance.random() < SHARE_OF_HOT:
            return chance.choice(HOT)
        return chance.choice((*SKUS, *SKUS, "MUG", "MUG", chance.choice(ARRIVING).sku, "NEVER-WAS"))

    def quantity(self, chance: Random) -> int:
        return chance.choice((1, 1, 1, 2, 3))

    def lines(self, chance: Random, *, most: int = 3) -> list[dict[str, Any]]:
        """Lines as a careless client sends them: a sku may stand there twice."""
        count = min(most, chance.choice((1, 1, 2, 3)))
        return [{"sku": self.sku(chance), "quantity": self.quantity(chance)} for _ in range(count)]

    def draft(self, chance: Random, *, token: str = "", **what: Any) -> dict[str, Any]:
        """The body of an order of `lines` or `cart_id`."""
        drawn = chance.choice(TOKENS)
        body = {
            "email": self.email,
            "shipping_address": self.address,
            "payment": {"provider": "sandbox", "token": token or drawn},
            **what,
        }
        if "cart_id" not in what:
            body["currency"] = self.currency
        return body

    def ordering(self, body: dict[str, Any], *, key: str = "", expects: tuple[str, ...] = ()) -> Request:
        if "cart_id" in body:
            self.ordered_carts.append(body["cart_id"])
        return self.client.request("POST", "/orders", body, key=key, expects=expects)

    async def order(self, request: Request) -> str:
        """Order until it is certain; the order's name, or nothing."""
        return self.named(await self.client.insist(request))

    def named(self, reply: Reply | None) -> str:
        if reply is None or reply.status != 201:
            return ""
        name: str = reply.body["id"]
        if name not in self.orders:
            self.orders.append(name)
        return name

    def cancelling(self, order: str) -> Request:
        return self.client.request("POST", f"/orders/{order}/cancel")

    async def open_cart(self) -> str:
        """A cart that is free to be changed; a member's is the one they have."""
        reply = await self.client.command("POST", "/carts", {"currency": self.currency})
        return reply.body["id"] if reply is not None and reply.status == 201 else ""

    def putting(self, cart: str, sku: str, quantity: int) -> Request:
        return self.client.request("PUT", f"/carts/{cart}/lines/{sku}", {"quantity": quantity})

    async def put(self, cart: str, sku: str, quantity: int) -> bool:
        """Whether the shop has acknowledged it."""
        reply = await self.client.insist(self.putting(cart, sku, quantity))
        return reply is not None and reply.status == 200

    async def put_at_once(self, cart: str, lines: Sequence[tuple[str, int]]) -> list[bool]:
        """Several tabs change the cart at the same moment."""
        requests = [self.putting(cart, sku, quantity) for sku, quantity in lines]
        replies = await asyncio.gather(*(self.client.insist(request) for request in requests))
        return [reply is not None and reply.status == 200 for reply in replies]

    def quote_path(self, cart: str) -> str:
        postal_code = self.address["postal_code"].replace(" ", "%20")
        return f"/carts/{cart}?country={self.address['country']}&postal_code={postal_code}"

    def doubts_since(self, before: int) -> bool:
        """Whether a request may still be on its way to change the cart; a member's cart is older than a visit."""
        return self.client.doubts != (0 if self.client.token else before)

    async def read(self, order: str) -> Any:
        """The order as it is now, or None; one that was acknowledged is there, and stays cancelled once it is."""
        known = self.client.journal.orders.get(order)
        was_cancelled = known is not None and known.is_cancelled
        body = await self.client.get(f"/orders/{order}")
        if body is not None and was_cancelled and body["status"] != "cancelled":
            self.client.complain("durable", subject=order, text=f"cancelled for certain, now {body['status']}")
        return body
