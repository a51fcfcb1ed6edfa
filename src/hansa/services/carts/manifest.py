"""What carts says of itself: it asks products and shipping, and hears of orders."""

from pathlib import Path

from hansa.platform.manifest import Manifest, Parts
from hansa.services.carts.api import routes
from hansa.services.carts.consumers import consumers
from hansa.services.carts.contract import Carts
from hansa.services.carts.rules import read_taxes
from hansa.services.carts.service import CartsService
from hansa.services.carts.tables import METADATA
from hansa.services.products.contract import Products
from hansa.services.shipping.contract import Shipping

FOLDER = Path(__file__).parent
TAXES = FOLDER / "rules" / "taxes.csv"
POSTAL_AREAS = FOLDER / "rules" / "postal_areas.csv"


def build(parts: Parts) -> CartsService:
    return CartsService(
        database=parts.database,
        clock=parts.clock,
        ids=parts.ids,
        products=parts.client(Products),
        shipping=parts.client(Shipping),
        taxes=read_taxes(TAXES.read_text(encoding="utf-8"), areas=POSTAL_AREAS.read_text(encoding="utf-8")),
    )


MANIFEST = Manifest(
    name="carts",
    contract=Carts,
    uses=(Products, Shipping),
    metadata=METADATA,
    folder=FOLDER,
    build=build,
    consumers=consumers,
    routes=routes,
)
