"""A carts service on either engine, asked over either wire, between stand-ins of its neighbours."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from hansa.kernel.ids import Ids
from hansa.platform.database.port import Database
from hansa.platform.rpc.local import local, twice
from hansa.services.carts.contract import Carts
from hansa.services.carts.manifest import TAXES
from hansa.services.carts.rules import read_taxes
from hansa.services.carts.service import CartsService
from hansa.services.carts.tables import METADATA
from hansa.services.products.contract import Products
from hansa.services.shipping.contract import Shipping
from tests import databases, servers
from tests.clocks import ManualClock
from tests.services.carts.neighbours import ProductsStandIn, ShippingStandIn, offer, option

WIRES = {"local": local, "twice": twice}
WORLDS = [
    (databases.SQLITE, "local"),
    (databases.SQLITE, "twice"),
    (databases.POSTGRES, "twice"),
]


@dataclass(frozen=True, kw_only=True)
class World:
    """The service, a client of it, and what it was built from."""

    carts: Carts
    service: CartsService
    database: Database
    products: ProductsStandIn
    clock: ManualClock
    ids: Ids


@pytest.fixture(scope="session")
def carts_dsn(postgres_server: servers.PostgresServer) -> Iterator[str]:
    """One database for all tests of this service: making one takes longer than a test."""
    postgres_server.start()
    yield postgres_server.create_database("carts_tests")
    postgres_server.start()
    postgres_server.drop_database("carts_tests")


@pytest.fixture(params=WORLDS, ids=["-".join(world) for world in WORLDS])
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    engine, wire = request.param
    dsn = request.getfixturevalue("carts_dsn") if engine == databases.POSTGRES else None
    clock = ManualClock()
    ids = Ids(clock=clock)
    products = ProductsStandIn(
        offer("HAT", 1999),
        offer("HAT", 1899, "EUR", tax_included=True),
        offer("SHOE", 4950),
        *(offer(f"SKU-{number}", 100 + number) for number in range(120)),
    )
    shipping = ShippingStandIn(
        {
            "US": (option("express", 1500), option("parcel", 500)),
            "DE": (option("parcel", 490, "EUR"),),
        }
    )
    async with databases.opened(
        engine=engine, name="carts", metadata=METADATA, folder=tmp_path, dsn=dsn, clock=clock, ids=ids
    ) as database:
        if dsn is not None:
            await _empty(dsn)
        service = CartsService(
            database=database,
            clock=clock,
            ids=ids,
            products=local(Products, products),
            shipping=local(Shipping, shipping),
            taxes=read_taxes(TAXES.read_text(encoding="utf-8")),
        )
        yield World(
            carts=WIRES[wire](Carts, service),
            service=service,
            database=database,
            products=products,
            clock=clock,
            ids=ids,
        )


async def _empty(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"TRUNCATE {', '.join(f'carts.{name}' for name in METADATA.tables)}")
    finally:
        await connection.close()
