"""Products as the house sees them: a leaf that asks nobody."""

from pathlib import Path

from hansa.platform.files.pictures import Pictures
from hansa.platform.manifest import Manifest, Parts
from hansa.services.products.api import routes
from hansa.services.products.consumers import consumers
from hansa.services.products.contract import Products
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
    consumers=consumers,
    close=ProductsService.close,
    routes=routes,
)
