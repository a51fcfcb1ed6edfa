"""What promotions say of themselves: they ask nobody, and hear of orders that come to nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from hansa.kernel import tags
from hansa.platform.cache.freshness import Effects, Shows
from hansa.platform.http.early import EarlyHook
from hansa.platform.jobs.periodic import Job
from hansa.platform.manifest import Manifest, Parts
from hansa.services.promotions.api import routes, turning_away
from hansa.services.promotions.consumers import consumers
from hansa.services.promotions.contract import Promotions
from hansa.services.promotions.events import FlashSaleAnnounced, FlashSaleCancelled
from hansa.services.promotions.service import PromotionsService
from hansa.services.promotions.tables import METADATA

LOOK_EVERY_S = 1.0


def build(parts: Parts) -> PromotionsService:
    return PromotionsService(
        database=parts.database, clock=parts.clock, ids=parts.ids, channel=parts.channel, keyring=parts.keyring
    )


def jobs(service: PromotionsService) -> Sequence[Job]:
    return (Job(name="promotions.look", every_s=LOOK_EVERY_S, run=service.look),)


def early(service: PromotionsService) -> Mapping[str, EarlyHook]:
    return {"buy_at_flash_sale": turning_away(service.turn_away)}


def listed(event: msgspec.Raw) -> tuple[str, ...]:
    return (tags.SALES,)


MANIFEST = Manifest(
    name="promotions",
    contract=Promotions,
    metadata=METADATA,
    folder=Path(__file__).parent,
    build=build,
    emits=(FlashSaleAnnounced, FlashSaleCancelled),
    consumers=consumers,
    jobs=jobs,
    quiet=lambda service: service.looking.quiet(),
    close=PromotionsService.close,
    routes=routes,
    early=early,
    effects=Effects(
        shows=(Shows(event=FlashSaleAnnounced, tags=listed), Shows(event=FlashSaleCancelled, tags=listed)),
    ),
)
