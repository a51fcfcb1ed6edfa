"""Growth: memory over 200,000 orders, and what an order costs with ten thousand and with a million stored ones.

The million is not ordered but copied: rows of the first orders, with ids of an earlier time, are put straight into the
shop's files while it is stopped. Everything that an order's path reads or writes by the order has them: orders, their
lines, keys, reservations, payments, mails. The ledger of stock and the provider's books do not, so this shop is audited
before the copy and not after.
"""

import asyncio
import sqlite3
from pathlib import Path

from bench.machine import memory, usage
from bench.stage import Stage

ENGINE = "sqlite"
CONNECTIONS = 256
ORDERS = 200_000
CHUNK = 20_000
FEW = 10_000
MANY = 1_000_000
PROBE = 5_000
COPIED = ("orders", "inventory", "payments", "notifications")
"""Services of whose tables all rows are copied that belong to an order."""
SHIFTED = ("order_id", "payment_id")
EARLIER = 10_000_000 << 22
"""Ids that lie so much lower were made 10,000 seconds before (41 bits of milliseconds above 22 of slot and count)."""


async def run(stage: Stage) -> None:
    await _cost(stage)
    await _memory(stage)


async def _cost(stage: Stage) -> None:
    shop = stage.shop(ENGINE)
    await stage.orders(ENGINE, count=FEW, connections=CONNECTIONS)
    few = await _probe(stage)
    await stage.check(ENGINE, part="growth")
    shop.stop()
    copies = MANY // FEW
    stage.say(f"{copies} times the first orders are copied into the shop's files")
    for service in COPIED:
        copied = await asyncio.to_thread(copy_orders, shop.folder / "databases" / f"{service}.db", copies=copies)
        stage.say(f"  {service}: {', '.join(f'{count} {table}' for table, count in copied.items())}")
    shop.start()
    many = await _probe(stage)
    stage.results.add("growth.few_cpu_us", few)
    stage.results.add("growth.many_cpu_us", many)
    stage.results.add("growth.cost_ratio", many / few)
    stage.say(f"CPU per order: {few:.0f} us with {FEW} stored, {many:.0f} us with a million more")


async def _probe(stage: Stage) -> float:
    """Microseconds of the shop's CPU per order, all effects included."""
    await stage.orders(ENGINE, count=PROBE // 5, connections=CONNECTIONS)
    await stage.rest(ENGINE)
    shop = stage.shop(ENGINE)
    before = usage(shop.process_id)
    await stage.orders(ENGINE, count=PROBE, connections=CONNECTIONS)
    await stage.rest(ENGINE)
    return usage(shop.process_id).since(before).cpu_s / PROBE * 1e6


async def _memory(stage: Stage) -> None:
    shop = stage.shop(ENGINE)
    occupied = []
    for ordered in range(0, ORDERS, CHUNK):
        await stage.orders(ENGINE, count=CHUNK, connections=CONNECTIONS)
        await stage.rest(ENGINE)
        occupied.append(memory(shop.process_id).resident_mb)
        stage.say(f"{ordered + CHUNK} orders: {occupied[-1]:.1f} MB")
        stage.results.add("growth.resident_mb", occupied[-1])
    stage.results.add("growth.memory_mb", occupied[-1] - occupied[1])


def copy_orders(file: Path, *, copies: int) -> dict[str, int]:
    """Each row that belongs to an order so many times more, as if it had been made earlier and earlier; how many."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = OFF")
    added = {}
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall():
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        if "order_id" not in columns:
            continue
        taken = ", ".join(_shifted(column, table) for column in columns)
        connection.execute(
            f"WITH RECURSIVE copies(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < {copies}) "
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {taken} FROM {table}, copies"
        )
        added[table] = connection.execute("SELECT changes()").fetchone()[0]
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return added


def _shifted(column: str, table: str) -> str:
    if column in SHIFTED:
        return f"{table}.{column} - n * {EARLIER}"
    if column == "key":
        return f"n || '-' || {table}.key"
    return f"{table}.{column}"
