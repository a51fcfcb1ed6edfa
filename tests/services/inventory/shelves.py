"""An inventory for tests: the service, a client of it, and short ways to ask and to look behind."""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select

from hansa.kernel.channel import MAIN
from hansa.kernel.event import Envelope
from hansa.kernel.ids import Ids
from hansa.platform.database.platform_tables import OUTBOX
from hansa.platform.database.port import Database
from hansa.platform.database.statement import Statement
from hansa.platform.rpc import local as wires
from hansa.services.inventory.contract import Inventory, Level, Line, Reservation, Stock
from hansa.services.inventory.service import InventoryService
from hansa.services.inventory.tables import METADATA, MOVEMENTS, RESERVATIONS, STOCK
from tests import databases
from tests.clocks import ManualClock
from tests.reserved import lines_of as lines_of_rows

HALF_AN_HOUR = timedelta(minutes=30)
AGES = 10**9
_OUTBOX = Statement(select(OUTBOX.c.envelope).order_by(OUTBOX.c.event_id))
_STOCK = Statement(select(STOCK))
_MOVEMENTS = Statement(select(MOVEMENTS).order_by(MOVEMENTS.c.version))
_RESERVATIONS = Statement(select(RESERVATIONS))
_COUNTERS = ("on_hand", "reserved", "sold")


@dataclass(kw_only=True)
class Shelves:
    """An inventory and what a test needs around it."""

    database: Database
    service: InventoryService
    inventory: Inventory
    clock: ManualClock
    ids: Ids
    _keys: Iterator[int] = field(default_factory=itertools.count)

    def order(self, *, slot: int = 7) -> str:
        return self.ids.new(slot=slot)

    def key(self) -> str:
        return f"key-{next(self._keys)}"

    async def put(self, sku: str, pieces: int, *, location: str = MAIN) -> Stock:
        return await self.inventory.set_on_hand(
            key=self.key(), sku=sku, on_hand=pieces, version=None, actor="user:1", location=location
        )

    async def reserve(
        self,
        order_id: str,
        *lines: tuple[str, int],
        locations: tuple[str, ...] = (MAIN,),
        expires_at: datetime | None = None,
    ) -> Reservation:
        return await self.inventory.reserve(
            key=f"reserve-{order_id}",
            order_id=order_id,
            lines=lines_of(*lines),
            locations=locations,
            expires_at=expires_at or self.clock.now() + HALF_AN_HOUR,
        )

    async def sell(self, order_id: str) -> None:
        await self.inventory.sell(key=f"sell-{order_id}", order_id=order_id)

    async def release(self, order_id: str) -> None:
        await self.inventory.release(key=f"release-{order_id}", order_id=order_id)

    async def take_back(self, order_id: str, *lines: tuple[str, int], key: str | None = None) -> None:
        await self.inventory.take_back(key=key or self.key(), order_id=order_id, lines=lines_of(*lines))

    async def level(self, sku: str, *, location: str = MAIN) -> tuple[int, int, int]:
        """On hand, reserved, sold."""
        [level] = [level for level in (await self.inventory.stock(sku=sku)).levels if level.location == location]
        return counters_of(level)

    async def events(self) -> list[Envelope]:
        rows = await self.database.all(_OUTBOX)
        return [msgspec.json.decode(row["envelope"], type=Envelope) for row in rows]

    async def bodies(self, event: type[Any]) -> list[Any]:
        """What was said by events of a type, in order."""
        envelopes = [envelope for envelope in await self.events() if envelope.type == event.type]
        return [msgspec.json.decode(envelope.body, type=event) for envelope in envelopes]

    async def check_books(self) -> None:
        """The laws that hold at every moment, whatever happened."""
        async with self.database.read() as reader:
            stock, movements, reservations = [
                await reader.all(statement) for statement in (_STOCK, _MOVEMENTS, _RESERVATIONS)
            ]
        lines = lines_of_rows(reservations)
        for row in stock:
            place = _place(row)
            ledger = [movement for movement in movements if _place(movement) == place]
            levels = {name: row[name] for name in _COUNTERS}
            assert levels == {name: sum(line[name] for line in ledger) for name in _COUNTERS}
            assert [line["version"] for line in ledger] == list(range(1, row["version"] + 1))
            assert 0 <= row["reserved"] <= row["on_hand"]
            assert row["sold"] >= 0
            # No piece comes from nowhere or goes there: what was counted in is on the shelf or sold.
            counted = sum(line["on_hand"] for line in ledger if line["kind"] in ("received", "written_off"))
            assert counted == row["on_hand"] + row["sold"]
            own = [line for line in lines if _place(line) == place]
            assert row["reserved"] == sum(line["held"] for line in own)
            at_tills = sum(line["sold"] for line in ledger if line["kind"] == "till_sale")
            assert row["sold"] == at_tills + sum(line["sold"] - line["returned"] for line in own)
        assert {_place(movement) for movement in movements} <= {_place(row) for row in stock}


def lines_of(*lines: tuple[str, int]) -> tuple[Line, ...]:
    return tuple(Line(sku=sku, quantity=quantity) for sku, quantity in lines)


def counters_of(level: Level | Stock) -> tuple[int, int, int]:
    return level.on_hand, level.reserved, level.sold


def _place(row: Any) -> tuple[int, str, str, int]:
    return row["slot"], row["sku"], row["location"], row["bucket"]


@asynccontextmanager
async def opened(
    *, engine: str, folder: Path, dsn: str | None, wire: str = "local", sequences: range = range(1024)
) -> AsyncIterator[Shelves]:
    clock = ManualClock()
    ids = Ids(clock=clock, sequences=sequences)
    async with databases.opened(
        engine=engine, name="inventory", metadata=METADATA, folder=folder, dsn=dsn, clock=clock, ids=ids
    ) as database:
        service = InventoryService(database=database, clock=clock, ids=ids)
        client = getattr(wires, wire)(Inventory, service)
        try:
            yield Shelves(database=database, service=service, inventory=client, clock=clock, ids=ids)
        finally:
            await service.close()
