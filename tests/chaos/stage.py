"""Sets a shop up on things that can be broken, and takes everything away again."""

import asyncio
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.chaos.disk import small_disk
from tests.chaos.fire import Fire
from tests.chaos.processes import DatabaseProcess, ShopProcess, WallClock
from tests.chaos.proxy import Proxy

EMBEDDED_DISK_MB = 512
DATABASE_DISK_MB = 768
NAME = "hansa"


@asynccontextmanager
async def staged(*, seed: int, has_database: bool, say: Callable[[str], None]) -> AsyncIterator[Fire]:
    """A shop that runs and is empty: its clients' line, its database's line, its disk and its clock may go wrong.

    The small disk is the one with the databases: the shop's data folder, or PostgreSQL's. The sandbox provider's
    ledger lies elsewhere, as it is another party's.
    """
    chance = random.Random(f"lines {seed}")
    async with AsyncExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="hansa-chaos-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        clock = WallClock(folder / "clock")
        data = folder / "data"
        data.mkdir(mode=0o700)
        database, line, dsn = None, None, "sqlite:"
        if has_database:
            database = await asyncio.to_thread(DatabaseProcess)
            stack.callback(database.stop)
            disk = small_disk(database.data, megabytes=DATABASE_DISK_MB, processes=lambda: database.process_ids)
            stack.callback(disk.close)
            await asyncio.to_thread(database.start)
            stack.callback(database.kill)
            await asyncio.to_thread(database.create_database, NAME)
            line = Proxy(port=database.port, chance=chance)
            await line.start()
            stack.push_async_callback(line.close)
            dsn = f"postgresql://postgres@127.0.0.1:{line.port}/{NAME}"
        shop = ShopProcess(data, clock=clock, database=dsn)
        if database is None:
            disk = small_disk(data, megabytes=EMBEDDED_DISK_MB, processes=lambda: shop.process_ids)
            stack.callback(disk.close)
        (folder / "provider").mkdir()
        (data / "sandbox-provider").symlink_to(folder / "provider", target_is_directory=True)
        stack.callback(_make_sure_it_ended, shop)
        await asyncio.to_thread(shop.start)
        clients = Proxy(port=shop.port, chance=chance)
        await clients.start()
        stack.push_async_callback(clients.close)
        fire = Fire(shop=shop, clock=clock, disk=disk, clients=clients, database=database, database_line=line, say=say)
        stack.push_async_callback(fire.leave)
        say(f"the shop answers at {shop.address}; disk: {disk.what}")
        yield fire


def _make_sure_it_ended(shop: ShopProcess) -> None:
    if shop.is_running:
        shop.kill()
