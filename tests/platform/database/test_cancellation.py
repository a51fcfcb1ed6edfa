"""A caller may be cancelled at any moment: it leaves all or nothing, and a database that goes on working."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from hansa.platform.database.port import Database
from hansa.platform.database.sqlite import SqliteDatabase
from hansa.platform.database.statement import Statement
from tests.platform.database.things import ADD, add, available, skus

COMMIT_S = 0.4
SLOW_FUNCTION = Statement(
    text(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql "
        f"AS 'BEGIN PERFORM pg_sleep({COMMIT_S}); RETURN NULL; END'"
    )
)
SLOW_TRIGGER = Statement(
    text(
        "CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON stock DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW WHEN (NEW.sku = 'slow') EXECUTE FUNCTION slow()"
    )
)


async def slow_down_commit(database: Database) -> None:
    """Let the commit of the sku `slow` take its time."""
    if isinstance(database, SqliteDatabase):
        database._committer.submit(lambda: time.sleep(COMMIT_S))
    else:
        async with database.write() as tx:
            await tx.run(SLOW_FUNCTION)
            await tx.run(SLOW_TRIGGER)


async def wait_for(condition: Callable[[], Any], *, timeout_s: float = 10.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.001)


async def test_cancelled_in_the_block_nothing_is_kept(database: Database) -> None:
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    is_inside = asyncio.Event()

    async def write() -> None:
        async with database.write(7) as tx:
            await tx.run(ADD, lines=[(7, "hat", 3)])
            is_inside.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(write())
    await is_inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await skus(database) == []
    await add(database, (7, "hat", 1))
    assert await available(database, sku="hat") == 1
    assert complaints == [], "the pool had to clean up after us"


async def test_cancelled_during_the_commit_it_is_finished_first(database: Database) -> None:
    await slow_down_commit(database)
    is_left = asyncio.Event()

    async def write() -> None:
        async with database.write(7) as tx:
            await tx.run(ADD, lines=[(7, "slow", 3)])
            is_left.set()

    started = time.monotonic()
    task = asyncio.create_task(write())
    await is_left.wait()
    for _ in range(3):  # once is not enough for somebody in a hurry
        await asyncio.sleep(COMMIT_S / 10)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started >= COMMIT_S * 0.9
    assert await skus(database) == ["slow"]
    await add(database, (7, "hat", 1))
    assert await available(database, sku="hat") == 1


async def test_cancelled_at_any_moment_it_is_all_or_nothing(database: Database) -> None:
    kept = 0
    for turn in range(60):
        pair = [(7, f"a-{turn}", 1), (7, f"b-{turn}", 1)]
        task = asyncio.create_task(_write_one_by_one(database, pair))
        for _ in range(turn % 20):
            await asyncio.sleep(0)
        await asyncio.sleep(turn // 20 * 0.001)
        task.cancel()
        [outcome] = await asyncio.gather(task, return_exceptions=True)
        found = await skus(database)
        there = [sku in found for _, sku, _ in pair]
        assert there[0] == there[1]
        if outcome is None:
            assert all(there), "who was told so has it"
        kept += all(there)
    await add(database, (7, "hat", 1))
    assert await available(database, sku="hat") == 1
    assert kept < 60, "the test cancels too late to show anything"


async def test_a_waiting_writer_that_is_cancelled_does_not_stand_in_the_way(database: Database) -> None:
    await add(database, (7, "hat", 3))
    is_inside, may_leave = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with database.write(7) as tx:
            await tx.run(ADD, lines=[(7, "shoe", 1)])
            is_inside.set()
            await may_leave.wait()

    holder = asyncio.create_task(hold())
    await is_inside.wait()
    waiters = [asyncio.create_task(add(database, (7, "shoe", 1))) for _ in range(20)]
    await asyncio.sleep(0.05)
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    may_leave.set()
    await holder
    assert await skus(database) == ["hat", "shoe"]
    await add(database, (9, "sock", 1))


async def _write_one_by_one(database: Database, lines: list[tuple[int, str, int]]) -> None:
    async with database.write(7) as tx:
        for line in lines:
            await tx.run(ADD, lines=[line])
            await asyncio.sleep(0)
