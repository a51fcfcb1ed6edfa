"""Products as the house sees them: a leaf that asks nobody."""

from pathlib import Path

from hansa.platform.cache.freshness import Effects, Shows
from hansa.platform.files.pictures import Pictures
from hansa.platform.manifest import Manifest, Parts
from hansa.services.products.api import flip_changes, put_changes, routes
from hansa.services.products.consumers import consumers
from hansa.services.products.contract import Products
from hansa.services.products.events import ProductPut, VariantAvailabilityChanged
from hansa.services.products.service import ProductsService
from hansa.services.products.tables import METADATA


def build(parts: Parts) -> ProductsService:
    return ProductsService(
        database=parts.database,
        clock=parts.clock,
        ids=parts.ids,
        pictures=Pictures(files=parts.adapters["files"]),
        default_locale=parts.channel.locales[0],
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
        shows=(Shows(event=ProductPut, tags=put_changes), Shows(event=VariantAvailabilityChanged, tags=flip_changes)),
        seen_at_once=("create", "change"),
    ),
    close=ProductsService.close,
    routes=routes,
)
