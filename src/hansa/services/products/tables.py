"""What products keep: a product's rows lie together in the slot that its slug gave it at birth."""

from sqlalchemy import CheckConstraint, Index, Table

from hansa.platform.database.platform_tables import service_metadata
from hansa.platform.database.tables import COUNT, DOCUMENT, FLAG, ID, MOMENT, TEXT, field, key, optional, slot

METADATA = service_metadata()

PRODUCTS = Table(
    "products",
    METADATA,
    slot(),
    key("product_id"),
    field("slug", TEXT),
    optional("brand", TEXT),
    optional("category", TEXT),
    field("status", TEXT),
    field("attributes", DOCUMENT),
    field("images", DOCUMENT),
    field("digest", TEXT),
    field("version", COUNT),
    field("made_at", MOMENT),
    field("updated_at", MOMENT),
    CheckConstraint("status IN ('active', 'archived')", name="status"),
    CheckConstraint("version >= 1", name="version"),
    Index(None, "product_id"),
    Index(None, "slug"),
)
"""`digest` is the hash of the whole draft that was put last, so that the same draft again is recognised cheaply. The
indexes are for the lists of staff, which fan out."""

PRODUCT_TEXTS = Table(
    "product_texts",
    METADATA,
    slot(),
    key("product_id"),
    key("locale", TEXT),
    field("name", TEXT),
    field("description", TEXT),
)

VARIANTS = Table(
    "variants",
    METADATA,
    slot(),
    key("product_id"),
    key("sku", TEXT),
    field("position", COUNT),
    field("options", DOCUMENT),
    optional("gtin", TEXT),
    optional("weight_grams", COUNT),
    optional("width_mm", COUNT),
    optional("height_mm", COUNT),
    optional("depth_mm", COUNT),
    optional("hs_code", TEXT),
    optional("country_of_origin", TEXT),
    field("tax_class", TEXT),
    field("unit", TEXT),
    optional("age_limit", COUNT),
    optional("hazard", TEXT),
    field("seller_id", TEXT),
    field("is_retired", FLAG),
    field("is_available", FLAG),
    field("availability_version", COUNT),
    CheckConstraint("unit IN ('piece', 'gram')", name="unit"),
)
"""A variant that a later draft no longer has is retired, never deleted. `availability_version` counts how often
`is_available` has changed."""

PRICES = Table(
    "prices",
    METADATA,
    slot(),
    key("product_id"),
    key("sku", TEXT),
    key("price_list", TEXT),
    key("currency", TEXT),
    key("minimum_quantity", COUNT),
    key("valid_from", MOMENT),
    key("version", COUNT),
    field("amount", COUNT),
    field("tax_included", FLAG),
    optional("valid_to", MOMENT),
    CheckConstraint("amount >= 0", name="amount"),
    CheckConstraint("minimum_quantity >= 1", name="minimum_quantity"),
    CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="validity"),
)
"""Rows are only ever added: the newest that is valid counts, so that every earlier price stays known. `version` is the
product's when the row was added; it decides between rows that are valid from the same moment."""

SLUGS = Table("slugs", METADATA, slot(), key("slug", TEXT), field("product_id", ID))
"""Whose a slug is, sharded by the slug, for ever."""

SKUS = Table("skus", METADATA, slot(), key("sku", TEXT), optional("product_id", ID))
"""Whose a sku is, sharded by the sku. A row without a product belongs to a sku of which only stock is known; whoever
changes the owner or the availability of a sku holds this row."""

VARIANT_AVAILABILITY = Table(
    "variant_availability",
    METADATA,
    slot(),
    key("sku", TEXT),
    key("location", TEXT),
    field("is_available", FLAG),
    field("version", COUNT),
)
"""The newest that inventory has said of a sku at a location, sharded by the sku; the product may not be there yet."""

CATEGORIES = Table(
    "categories",
    METADATA,
    slot(),
    key("path", TEXT),
    field("slug", TEXT),
    field("parent", TEXT),
    field("names", DOCUMENT),
    Index(None, "slug"),
)
"""The tree: a path of slugs, sharded by itself; `parent` is empty for a root."""

LISTINGS = Table(
    "listings",
    METADATA,
    slot(),
    key("product_id"),
    key("path", TEXT),
    Index(None, "path", "product_id"),
)
"""Where active products are listed: under each level of their category, and all under the empty path."""
