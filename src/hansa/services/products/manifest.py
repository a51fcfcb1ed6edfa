"""Products as the house sees them: a leaf that asks nobody."""

from pathlib import Path

from hansa.kernel import tags
from hansa.platform.cache.existing import CAPACITY, Existing
from hansa.platform.cache.freshness import Effects, Shows
from hansa.platform.files.pictures import Pictures
from hansa.platform.jobs.periodic import Job
from hansa.platform.manifest import Manifest, Parts
from hansa.services.products.api import flip_changes, put_changes, routes
from hansa.services.products.consumers import consumers
from hansa.services.products.contract import Products
from hansa.services.products.events import ProductPut, VariantAvailabilityChanged
from hansa.services.products.service import ProductsService
from hansa.services.products.service.finding import things_changed
from hansa.services.products.tables import METADATA

LOOK_OVER_EVERY_S = 10.0
"""Whether the ids are to be read anew."""
FEW_IDS = 1_000_000
"""What a process that is alone has room for, at 1.2 MB; there is more as soon as there are more."""
WRONGEST_CLOCK_S = 24 * 3600.0


def build(parts: Parts) -> ProductsService:
    is_shared = parts.cache is not None and parts.cache.shared is not None
    existing = Existing(
        name="products", clock=parts.clock, capacity=CAPACITY if is_shared else FEW_IDS, ahead_s=WRONGEST_CLOCK_S
    )
    if parts.cache is not None:
        parts.cache.filters.append(existing)
    parts.changes.listen(lambda told: existing.note([int(each) for each in map(tags.product_of, told) if each]))
    return ProductsService(
        database=parts.database,
        clock=parts.clock,
        ids=parts.ids,
        pictures=Pictures(files=parts.adapters["files"]),
        default_locale=parts.channel.locales[0],
        cache=parts.cache,
        channel=parts.channel,
        existing=existing,
    )


MANIFEST = Manifest(
    name="products",
    contract=Products,
    metadata=METADATA,
    folder=Path(__file__).parent,
    build=build,
    emits=(ProductPut, VariantAvailabilityChanged),
    consumers=consumers,
    effects=Effects(
        shows=(
            Shows(event=ProductPut, tags=put_changes, things=things_changed),
            Shows(event=VariantAvailabilityChanged, tags=flip_changes, things=things_changed),
        ),
        seen_at_once=("create", "change"),
    ),
    jobs=lambda service: [Job(name="products.ids", every_s=LOOK_OVER_EVERY_S, run=service.look_over_ids)],
    close=ProductsService.close,
    routes=routes,
)
