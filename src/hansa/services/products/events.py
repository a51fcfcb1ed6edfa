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


class VariantAvailabilityChanged(Event, frozen=True, kw_only=True):
    """What products say of `available` has changed; `version` of the envelope counts these changes per sku."""

    type: ClassVar[str] = "products.variant_availability_changed.v1"

    product_id: Id
    sku: str
    is_available: bool
