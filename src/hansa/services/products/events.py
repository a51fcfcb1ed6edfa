"""What has happened to products."""

from typing import ClassVar

from hansa.kernel.event import Event
from hansa.kernel.ids import Id


class ProductPut(Event, frozen=True, kw_only=True):
    """A product was made, changed or archived; `version` of the envelope is the product's."""

    type: ClassVar[str] = "products.product_put.v1"

    product_id: Id
    slug: str
    skus: tuple[str, ...]
    is_active: bool
