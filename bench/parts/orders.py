"""Orders: complete ones over HTTP, on PostgreSQL and on SQLite, beside pgbench on the same server; the clock runs until
outboxes and consumers have drained."""

import asyncio

from bench.books import database_bytes, drained_at
from bench.machine import MEGABYTE, memory, usage
from bench.pgbench import prepare_pgbench, run_pgbench
from bench.stage import TAKEN, Stage

ENGINES = ("postgres", "sqlite")
WARM_ORDERS = 300
FEWEST_ORDERS = 300
SPREADS = {"spread": 1_000, "hot": 1}


async def run(stage: Stage) -> None:
    stage.say("pgbench is set up")
    await asyncio.to_thread(prepare_pgbench, stage.postgres())
    rates = {engine: await _rate(stage, engine) for engine in ENGINES}
    for number in range(stage.size.rounds):
        stage.say(f"orders {number + 1}/{stage.size.rounds}")
        transactions = await asyncio.to_thread(run_pgbench, stage.postgres(), seconds=stage.size.order_s)
        stage.results.add("pgbench.tps", transactions)
        stage.say(f"  pgbench: {transactions:.0f} transactions/s")
        for engine in ENGINES:
            found = {}
            for what, spread in SPREADS.items():
                count = min(stage.size.most_orders, max(FEWEST_ORDERS, int(rates[engine] * stage.size.order_s)))
                found[what] = await _measure(stage, engine, what, count=count, spread=spread)
                rates[engine] = found["spread"]
                stage.say(f"  {engine}, {what}: {found[what]:.0f} orders/s ({count} orders)")
            stage.results.add(f"orders.{engine}.ratio", found["spread"] / transactions)
            stage.results.add(f"orders.{engine}.hot_ratio", found["hot"] / found["spread"])
    for engine in ENGINES:
        await _lone(stage, engine)
        await stage.check(engine, part="orders")


async def _rate(stage: Stage, engine: str) -> float:
    """Orders a second of a warm shop, roughly."""
    rate = 0.0
    for _ in range(2):
        outcome = await stage.orders(engine, count=WARM_ORDERS, connections=stage.size.connections)
        rate = outcome.throughput
        await stage.rest(engine)
    return rate


async def _measure(stage: Stage, engine: str, what: str, *, count: int, spread: int) -> float:
    """Orders a second, all effects included; what 1,000 of them cost, mails included, too."""
    shop, server = stage.shop(engine), stage.server_of(engine)
    books = stage.books(engine)
    try:
        await drained_at(books, with_mails=True)
        stored, occupied = database_bytes(shop, server), memory(shop.process_id)
        shop_before = usage(shop.process_id)
        server_before = usage(server.process_id) if server else None
        outcome = await stage.orders(engine, count=count, connections=stage.size.connections, spread=spread)
        ended_at = await drained_at(books)
        await drained_at(books, with_mails=True, seconds=600)
    finally:
        await books.close()
    taken = outcome.statuses[TAKEN]
    rate = taken / (ended_at - outcome.began_at)
    stage.results.add(f"orders.{engine}.{what}", rate)
    stage.results.add(f"orders.{engine}.{what}_p99_ms", outcome.p99_ms)
    if what != "spread":
        return rate
    thousands = taken / 1_000
    of_shop = usage(shop.process_id).since(shop_before)
    of_server = usage(server.process_id).since(server_before) if server and server_before else None
    written = of_shop.written_bytes + (of_server.written_bytes if of_server else 0)
    growth = memory(shop.process_id).resident_mb - occupied.resident_mb
    for name, value in {
        "shop_cpu_s": of_shop.cpu_s,
        "database_cpu_s": of_server.cpu_s if of_server else 0.0,
        "client_cpu_s": outcome.cpu_s,
        "written_mb": written / MEGABYTE,
        "stored_mb": (database_bytes(shop, server) - stored) / MEGABYTE,
        "memory_mb": growth,
    }.items():
        stage.results.add(f"cost.{engine}.{name}", value / thousands)
    return rate


async def _lone(stage: Stage, engine: str) -> None:
    await stage.rest(engine)
    outcome = await stage.orders(engine, count=stage.size.lone_orders, connections=1)
    stage.results.add(f"lone.{engine}.p50_ms", outcome.p50_ms)
    stage.results.add(f"lone.{engine}.p95_ms", outcome.p95_ms)
    stage.say(f"  {engine}, one alone: p50 {outcome.p50_ms:.1f} ms")
    await stage.rest(engine)
