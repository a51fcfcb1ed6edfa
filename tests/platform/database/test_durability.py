"""What was acknowledged is there, whatever was killed right afterwards."""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from hansa.kernel.errors import Fault, StorageBusy, StorageFull
from hansa.platform.database.port import Database
from hansa.platform.database.sqlite import SqliteDatabase, connect
from tests import databases, servers
from tests.platform.database.test_cancellation import slow_down_commit
from tests.platform.database.things import ADD, METADATA, NAME, add, available, skus

ROOT = Path(__file__).parents[3]
ACKNOWLEDGED = 50
HEALING_S = 10.0


async def test_a_process_killed_after_its_acknowledgement_loses_nothing(
    engine: str, dsn: str | None, tmp_path: Path
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.platform.database.writing_child", engine, str(tmp_path), dsn or ""],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    acknowledged = [int(child.stdout.readline()) for _ in range(ACKNOWLEDGED)]
    child.kill()
    acknowledged += [int(line) for line in child.stdout.read().split()]
    child.wait()
    child.stdout.close()
    async with databases.opened(engine=engine, name=NAME, metadata=METADATA, folder=tmp_path, dsn=dsn) as database:
        found = set(await skus(database))
        assert {f"sku-{number}" for number in acknowledged} <= found
        assert len(found) <= len(acknowledged) + 1, "at most the one on its way may be there besides"
        await add(database, (7, "hat", 1))


async def test_a_killed_server_comes_back_with_all_rows_and_the_pool_heals(
    postgres_dsn: str, postgres_server: servers.PostgresServer, tmp_path: Path
) -> None:
    async with databases.opened(
        engine=databases.POSTGRES, name=NAME, metadata=METADATA, folder=tmp_path, dsn=postgres_dsn
    ) as database:
        acknowledged: set[str] = set()
        refused: set[str] = set()

        async def write(writer: int) -> None:
            with contextlib.suppress(Fault):
                for number in range(100_000):
                    sku = f"{writer}-{number}"
                    refused.add(sku)  # what nobody knows about counts as such
                    await add(database, (7, sku, 1))
                    refused.discard(sku)
                    acknowledged.add(sku)

        writers = [asyncio.create_task(write(number)) for number in range(8)]
        await asyncio.sleep(0.5)
        await asyncio.to_thread(postgres_server.kill)
        await asyncio.gather(*writers)  # each ends with a fault, and none hangs
        with pytest.raises(StorageBusy):
            await add(database, (7, "while it is down", 1))
        await asyncio.to_thread(postgres_server.start)
        await add(database, (7, "hat", 1))
        found = set(await skus(database))
        assert len(acknowledged) > 8
        assert acknowledged <= found
        assert found - acknowledged - {"hat"} <= refused
        assert "while it is down" not in found
        await asyncio.gather(*(add(database, (7, f"after-{number}", 1)) for number in range(50)))


async def test_a_pool_opened_before_its_server_works_once_that_is_up(
    postgres_dsn: str, postgres_server: servers.PostgresServer, tmp_path: Path
) -> None:
    async with databases.opened(
        engine=databases.POSTGRES, name=NAME, metadata=METADATA, folder=tmp_path, dsn=postgres_dsn
    ) as database:
        await asyncio.to_thread(postgres_server.kill)
        await database.close()
        await database.open()
        with pytest.raises(StorageBusy):
            await skus(database)
        await asyncio.to_thread(postgres_server.start)
        await add(database, (7, "hat", 1))
        assert await skus(database) == ["hat"]


async def test_idle_connections_to_a_server_that_died_are_replaced_at_the_cost_of_one_refusal_at_most(
    postgres_dsn: str, postgres_server: servers.PostgresServer, tmp_path: Path
) -> None:
    async with databases.opened(
        engine=databases.POSTGRES, name=NAME, metadata=METADATA, folder=tmp_path, dsn=postgres_dsn
    ) as database:
        await asyncio.gather(*(add(database, (7, f"before-{number}", 1)) for number in range(8)))
        postgres_server.kill()  # on the loop, which therefore learns nothing of the closed connections meanwhile
        postgres_server.start()
        with contextlib.suppress(StorageBusy):
            await add(database, (7, "first", 1))
        for number in range(8):
            await add(database, (7, f"after-{number}", 1))


async def test_a_server_lost_during_the_commit_leaves_a_fault_that_promises_nothing(
    postgres_dsn: str, postgres_server: servers.PostgresServer, tmp_path: Path
) -> None:
    async with databases.opened(
        engine=databases.POSTGRES, name=NAME, metadata=METADATA, folder=tmp_path, dsn=postgres_dsn
    ) as database:
        await slow_down_commit(database)
        is_left = asyncio.Event()

        async def write() -> None:
            async with database.write(7) as tx:
                await tx.run(ADD, lines=[(7, "slow", 3)])
                is_left.set()

        task = asyncio.create_task(write())
        await is_left.wait()
        await asyncio.sleep(0.1)
        await asyncio.to_thread(postgres_server.kill)
        with pytest.raises(Fault) as raised:
            await task
        assert type(raised.value) is Fault, "a StorageBusy would say that nothing was kept"


async def test_a_server_lost_within_the_block_leaves_nothing(
    postgres_dsn: str, postgres_server: servers.PostgresServer, tmp_path: Path
) -> None:
    async with databases.opened(
        engine=databases.POSTGRES, name=NAME, metadata=METADATA, folder=tmp_path, dsn=postgres_dsn
    ) as database:

        async def write() -> None:
            async with database.write(7) as tx:
                await tx.run(ADD, lines=[(7, "hat", 3)])
                await asyncio.to_thread(postgres_server.kill)
                await tx.run(ADD, lines=[(7, "shoe", 3)])

        with pytest.raises(StorageBusy):
            await write()
        await asyncio.to_thread(postgres_server.start)
        assert await skus(database) == []


async def test_a_full_disk_keeps_what_was_there_and_works_again_with_room(tmp_path: Path) -> None:
    async with databases.opened(engine=databases.SQLITE, name=NAME, metadata=METADATA, folder=tmp_path) as database:
        await add(database, (7, "hat", 3))
        limit = await _limit_pages(database, 40)
        lines = [(7, f"{'long' * 100}-{number}", 1) for number in range(1000)]
        with pytest.raises(StorageFull):
            await add(database, *lines)
        assert await skus(database) == ["hat"]
        assert await available(database, sku="hat") == 3
        with pytest.raises(StorageFull):
            await add(database, *lines)
        await _limit_pages(database, limit)
        await add(database, *lines)
        assert len(await skus(database)) == 1001


async def _limit_pages(database: Database, pages: int) -> int:
    """Let the file grow to so many pages and no further; the limit there was before."""
    assert isinstance(database, SqliteDatabase)
    assert database._writer is not None
    before: int = database._writer.execute("PRAGMA max_page_count").fetchone()[0]
    database._writer.execute(f"PRAGMA max_page_count = {pages}")
    return before


def test_sqlite_waits_for_the_disk_at_every_commit(tmp_path: Path) -> None:
    connection = connect(tmp_path / "things.sqlite")
    try:
        full = 2
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == full
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    finally:
        connection.close()


async def test_a_file_locked_by_another_process_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hansa.platform.database.sqlite.BUSY_TIMEOUT_S", 0.05)
    async with databases.opened(engine=databases.SQLITE, name=NAME, metadata=METADATA, folder=tmp_path) as database:
        other = sqlite3.connect(tmp_path / f"{NAME}.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageBusy):
            await add(database, (7, "hat", 3))
        other.execute("ROLLBACK")
        other.close()
        await add(database, (7, "hat", 3))
        assert await skus(database) == ["hat"]
