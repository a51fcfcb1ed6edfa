"""A products service over either engine, behind either wire."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from sqlalchemy import Table, select

from hansa.kernel.event import Envelope
from hansa.kernel.ids import Ids
from hansa.platform.database.platform_tables import UNSENT_EVENTS
from hansa.platform.database.port import Database, Row
from hansa.platform.database.statement import Statement
from hansa.platform.files.folder import FolderFiles
from hansa.platform.files.pictures import Pictures
from hansa.platform.outbox.inbox import Inbox
from hansa.platform.rpc.local import local, twice
from hansa.services.inventory.events import AvailabilityChanged
from hansa.services.products.consumers import consumers
from hansa.services.products.contract import Products
from hansa.services.products.service import ProductsService
from hansa.services.products.tables import METADATA
from tests.clocks import ManualClock
from tests.databases import POSTGRES, SQLITE, opened
from tests.servers import PostgresServer

MOST_EVENTS = 10_000


@dataclass(kw_only=True)
class Shop:
    """The service, and what a test may look at behind its back."""

    database: Database
    clock: ManualClock
    ids: Ids
    service: ProductsService
    products: Products
    keys: int = field(default=0)

    def key(self) -> str:
        """A fresh idempotency key."""
        self.keys += 1
        return f"key-{self.keys}"

    async def rows(self, table: Table) -> Sequence[Row]:
        return await self.database.all(Statement(select(table)))

    async def events(self, type_: str) -> list[Envelope]:
        """The events of a type that were emitted so far, oldest first."""
        rows = await self.database.all(UNSENT_EVENTS, limit=MOST_EVENTS)
        envelopes = [msgspec.json.decode(row["envelope"], type=Envelope) for row in rows]
        return sorted((envelope for envelope in envelopes if envelope.type == type_), key=lambda each: int(each.id))

    def said(self, sku: str, is_available: bool, *, version: int, location: str = "main") -> Envelope:
        """An event of inventory."""
        event = AvailabilityChanged(sku=sku, location=location, is_available=is_available)
        return Envelope(
            id=self.ids.new(slot=7),
            type=event.type,
            source="inventory",
            time=self.clock.now(),
            slot=7,
            aggregate=sku,
            version=version,
            body=msgspec.Raw(msgspec.json.encode(event)),
        )

    async def hear(self, *envelopes: Envelope) -> None:
        (consumer,) = consumers(self.service)
        await Inbox(database=self.database, consumer=consumer, clock=self.clock).deliver(envelopes)


@asynccontextmanager
async def shop_on(engine: str, wire: Any, folder: Path, dsn: str | None) -> AsyncIterator[Shop]:
    clock = ManualClock()
    ids = Ids(clock=clock)
    async with opened(
        engine=engine, name="products", metadata=METADATA, folder=folder, dsn=dsn, clock=clock, ids=ids
    ) as database:
        pictures = Pictures(files=FolderFiles(folder=folder / "media"))
        service = ProductsService(database=database, clock=clock, ids=ids, pictures=pictures, default_locale="en")
        yield Shop(database=database, clock=clock, ids=ids, service=service, products=wire(Products, service))
    if dsn is not None:
        await emptied(dsn)


@pytest.fixture(scope="session")
def products_dsn(postgres_server: PostgresServer) -> Iterator[str]:
    """One database for all tests of this folder, which leave it empty: making one takes longer than most of them."""
    postgres_server.start()
    yield postgres_server.create_database("products_suite")
    postgres_server.start()
    postgres_server.drop_database("products_suite")


async def emptied(dsn: str) -> None:
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "products"})
    try:
        await connection.execute("; ".join(f"DELETE FROM {table.name}" for table in METADATA.sorted_tables))
    finally:
        await connection.close()


@pytest.fixture(
    params=[(SQLITE, local), (SQLITE, twice), (POSTGRES, twice)], ids=lambda param: f"{param[0]}-{param[1].__name__}"
)
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shop]:
    engine, wire = request.param
    dsn = request.getfixturevalue("products_dsn") if engine == POSTGRES else None
    async with shop_on(engine, wire, tmp_path, dsn) as made:
        yield made


@pytest.fixture
async def racing_shop(products_dsn: str, tmp_path: Path) -> AsyncIterator[Shop]:
    """On PostgreSQL, where two writers really are at it at once."""
    async with shop_on(POSTGRES, local, tmp_path, products_dsn) as made:
        yield made


@pytest.fixture
async def small_shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """On SQLite, for what has nothing to do with engines or wires."""
    async with shop_on(SQLITE, local, tmp_path, None) as made:
        yield made
