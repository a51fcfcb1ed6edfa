"""What home keeps: products and orders in their own slots, and the front page itself, ready to be read, in one."""

from sqlalchemy import CheckConstraint, Index, Table

from hansa.platform.database.platform_tables import service_metadata
from hansa.platform.database.tables import COUNT, DOCUMENT, FLAG, ID, MOMENT, TEXT, field, key, key_by, optional, slot

METADATA = service_metadata()

CARDS = Table(
    "cards",
    METADATA,
    slot(),
    key("product_id"),
    field("version", COUNT),
    field("is_active", FLAG),
    field("is_available", FLAG),
    field("sold", COUNT),
    field("category", TEXT),
    field("made_at", MOMENT),
    optional("picture", DOCUMENT),
    field("face", DOCUMENT),
    CheckConstraint("version >= 0", name="version"),
    CheckConstraint("sold >= 0", name="sold"),
)
"""A product as far as the front page needs it. At version 0 only its sales or its availability were heard of yet.
`sold` is the sum of its rows in `sales`. Whoever changes anything about a product holds this row."""

VARIANTS = Table(
    "variants",
    METADATA,
    slot(),
    key("product_id"),
    key("sku", TEXT),
    field("is_on_sale", FLAG),
    field("is_available", FLAG),
    field("version", COUNT),
)
"""The newest word on whether a variant can be had, with the count of such words; perhaps older than the product."""

ORDERS = Table(
    "orders",
    METADATA,
    slot(),
    key("order_id"),
    field("day", COUNT),
    field("pieces", DOCUMENT),
    field("is_cancelled", FLAG),
    key_by("order_id", "slot"),
    Index(None, "day"),
)
"""The pieces of an order by product, so that its cancellation can take them back; a cancellation that came first left a
row without any. `day` counts from 1970, UTC."""

SALES = Table(
    "sales",
    METADATA,
    slot(),
    key("product_id"),
    key("day", COUNT),
    field("pieces", COUNT),
    CheckConstraint("pieces >= 0", name="pieces"),
    Index(None, "day"),
)
"""Pieces sold by product and day, as far as they still count."""

SHELVES = Table(
    "shelves",
    METADATA,
    slot(),
    key("product_id", ID),
    key("shelf", TEXT),
    field("score", COUNT),
    Index(None, "slot", "shelf", "score", "product_id"),
)
"""Which products stand on which shelf of the front page, the highest score first. All in the slot of the page."""

CATEGORIES = Table(
    "categories",
    METADATA,
    slot(),
    key("path", TEXT),
    field("depth", COUNT),
    field("names", DOCUMENT),
    field("products", COUNT),
    CheckConstraint("products >= 0", name="products"),
    Index(None, "slot", "depth", "products"),
)
"""The tree's first levels with the number of active products in each and below; in the slot of the page."""

BANNERS = Table(
    "banners",
    METADATA,
    slot(),
    key("name", TEXT),
    field("version", COUNT),
    field("banners", DOCUMENT),
    CheckConstraint("version >= 1", name="version"),
)
"""All banners as one document, since they are changed as one; in the slot of the page."""
