"""Inventory as the rest of the house sees it."""

from collections.abc import Sequence
from pathlib import Path

from hansa.platform.cache.freshness import Effects, Shows
from hansa.platform.jobs.periodic import Job
from hansa.platform.manifest import Manifest, Parts
from hansa.services.inventory.api import routes
from hansa.services.inventory.consumers import consumers
from hansa.services.inventory.contract import Inventory
from hansa.services.inventory.events import AvailabilityChanged, ReservationExpired
from hansa.services.inventory.service import InventoryService
from hansa.services.inventory.tables import METADATA

EXPIRE_EVERY_S = 5.0


def build(parts: Parts) -> InventoryService:
    return InventoryService(database=parts.database, clock=parts.clock, ids=parts.ids)


def jobs(service: InventoryService) -> Sequence[Job]:
    return (Job(name="inventory.expire", every_s=EXPIRE_EVERY_S, run=service.expire),)


MANIFEST = Manifest(
    name="inventory",
    contract=Inventory,
    metadata=METADATA,
    folder=Path(__file__).parent,
    build=build,
    emits=(AvailabilityChanged, ReservationExpired),
    consumers=consumers,
    effects=Effects(
        shows=(Shows(event=AvailabilityChanged),),
        seen_at_once=("set_on_hand", "record_sale", "reserve", "sell", "release", "take_back"),
    ),
    jobs=jobs,
    close=InventoryService.close,
    routes=routes,
)
