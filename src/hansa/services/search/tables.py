"""What search keeps: each product's record as it was last heard, so that an index can be made of it at any time."""

from sqlalchemy import CheckConstraint, Index, Table

from hansa.platform.database.platform_tables import service_metadata
from hansa.platform.database.tables import COUNT, DOCUMENT, FLAG, MOMENT, TEXT, field, key, optional, slot

METADATA = service_metadata()

DOCUMENTS = Table(
    "documents",
    METADATA,
    slot(),
    key("product_id"),
    field("version", COUNT),
    field("is_active", FLAG),
    field("record", DOCUMENT),
    field("changed_at", MOMENT),
    optional("due_at", MOMENT),
    CheckConstraint("version >= 1", name="version"),
    Index(None, "changed_at"),
    Index(None, "due_at"),
)
"""`record` is a ProductDraft in JSON, `version` the product's. `changed_at` is when the row last changed here: an index
catches up by it. `due_at` is when a price begins or ends next."""

AVAILABILITIES = Table(
    "availabilities",
    METADATA,
    slot(),
    key("product_id"),
    key("sku", TEXT),
    field("version", COUNT),
    field("is_available", FLAG),
    field("changed_at", MOMENT),
    Index(None, "changed_at"),
)
"""The newest that products have said of a variant; it may come before the product."""
