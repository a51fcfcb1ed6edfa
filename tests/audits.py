"""An auditor's view of a whole shop: pieces, money, orders and messages, from rows and from the provider's books."""

import asyncio
from collections import defaultdict
from typing import Any

from sqlalchemy import Table, select

from hansa.compose.shop import Shop
from hansa.platform.database.platform_tables import DEAD_LETTERS, OUTBOX
from hansa.platform.database.port import Row
from hansa.platform.database.statement import Statement
from hansa.platform.providers.sandbox import SandboxProvider
from hansa.services.inventory import tables as inventory_tables
from hansa.services.orders import tables as order_tables
from hansa.services.payments import tables as payment_tables

DRAIN_S = 60.0
QUIET_LOOKS = 3
"""A look takes a while, and an event may move from one outbox to another behind its back: one is not enough."""
_STATEMENTS: dict[str, Statement] = {}


async def rows(shop: Shop, service: str, table: Table) -> list[Row]:
    """Every row of a table."""
    statement = _STATEMENTS.setdefault(f"{service}.{table.name}", Statement(select(table)))
    return list(await shop.databases[service].all(statement))


async def drained(shop: Shop, *, seconds: float = DRAIN_S) -> None:
    """Wait until no order is pending, no refund under way and no event unsent."""
    quiet = 0
    async with asyncio.timeout(seconds):
        while quiet < QUIET_LOOKS:
            quiet = 0 if await _unfinished(shop) else quiet + 1
            await asyncio.sleep(0.02)


async def _unfinished(shop: Shop) -> bool:
    """States are looked at before outboxes: what comes to its end in between leaves an event behind."""
    orders = await rows(shop, "orders", _orders())
    if any(row["status"] == "pending" for row in orders):
        return True
    refunds = await rows(shop, "payments", payment_tables.METADATA.tables["refunds"])
    if any(row["state"] == "pending" for row in refunds):
        return True
    for name in shop.databases:
        if await rows(shop, name, OUTBOX):
            return True
    return False


async def everything_balances(shop: Shop) -> None:
    """Pieces, money and messages of a drained shop."""
    for name in shop.databases:
        assert not await rows(shop, name, DEAD_LETTERS), f"{name} has dead letters"
    await pieces_balance(shop)
    await money_balances(shop)


async def pieces_balance(shop: Shop) -> None:
    """No level is below zero, the ledger sums to the levels, and what is sold is what placed orders hold."""
    tables = inventory_tables.METADATA.tables
    levels: dict[tuple[str, str], Row] = {
        (row["sku"], row["location"]): row for row in await rows(shop, "inventory", tables["stock"])
    }
    booked: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for movement in await rows(shop, "inventory", tables["movements"]):
        sums = booked[(movement["sku"], movement["location"])]
        for index, counter in enumerate(("on_hand", "reserved", "sold")):
            sums[index] += movement[counter]
    for place, level in levels.items():
        counters = [level["on_hand"], level["reserved"], level["sold"]]
        assert min(counters) >= 0, place
        assert level["on_hand"] >= level["reserved"], place
        assert counters == booked[place], place
    sold: dict[str, int] = defaultdict(int)
    statuses = {row["order_id"]: row["status"] for row in await rows(shop, "orders", _orders())}
    for line in await rows(shop, "orders", order_tables.METADATA.tables["order_lines"]):
        if statuses[line["order_id"]] in ("placed", "completed"):
            sold[line["sku"]] += line["quantity"] - line["returned"]
    for (sku, _), level in levels.items():
        assert level["reserved"] == 0, f"{sku} is still reserved though every order has come to an end"
        assert level["sold"] == sold[sku], sku


async def money_balances(shop: Shop) -> None:
    """Every placed order is captured once and in full; every other order has all its money back; and the provider's
    own books say the same."""
    books = await provider_books(shop)
    intents = {row["order_id"]: row for row in await rows(shop, "payments", payment_tables.METADATA.tables["intents"])}
    for order in await rows(shop, "orders", _orders()):
        order_id = order["order_id"]
        captured, captures, refunded = books.get(str(order_id), (0, 0, 0))
        assert captures <= 1, f"order {order_id} was charged {captures} times"
        if order["status"] in ("placed", "completed"):
            assert captured == order["total"], order_id
            assert refunded <= captured, order_id
        else:
            assert captured == refunded, f"{order['status']} order {order_id} keeps {captured - refunded}"
        intent = intents.get(order_id)
        if intent is not None:
            assert (intent["captured"], intent["refunded"]) == (captured, refunded), order_id


async def provider_books(shop: Shop) -> dict[str, tuple[int, int, int]]:
    """What the sandbox provider's own ledger says by key: captured, how many captures, refunded."""
    sandbox = shop.providers["sandbox"]
    assert isinstance(sandbox, SandboxProvider)
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for entry in await sandbox.entries():
        if entry.kind == "captured":
            sums[entry.key][0] += entry.amount.amount
            sums[entry.key][1] += 1
        elif entry.kind == "refunded":
            sums[entry.key][2] += entry.amount.amount
    return {key: (values[0], values[1], values[2]) for key, values in sums.items()}


def _orders() -> Any:
    return order_tables.METADATA.tables["orders"]
