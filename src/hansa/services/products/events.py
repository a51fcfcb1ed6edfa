"""What has happened to products."""

from typing import ClassVar

from hansa.kernel.event import Event
from hansa.kernel.ids import Id
from hansa.services.products.contract import ProductRecord


class ProductPut(Event, frozen=True, kw_only=True):
    """A product was made, changed or archived; `version` of the envelope is the product's.

    `record` is all of it, so that read models need not ask.
    """

    type: ClassVar[str] = "products.product_put.v1"

    product_id: Id
    slug: str
    """The part of its address that names it."""
    skus: tuple[str, ...]
    """Of all its variants."""
    is_active: bool
    """Whether it is for sale; an archived product is not."""
    record: ProductRecord
    """All of it."""


class VariantAvailabilityChanged(Event, frozen=True, kw_only=True):
    """What products say of `available` has changed; `version` of the envelope counts these changes per sku."""

    type: ClassVar[str] = "products.variant_availability_changed.v1"

    product_id: Id
    sku: str
    is_available: bool
    """Whether it can be bought."""
