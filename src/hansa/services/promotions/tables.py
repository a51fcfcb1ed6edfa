"""What promotions keep: all that belongs to a flash sale lies in its slot, so that it commits on one node."""

from sqlalchemy import CheckConstraint, Index, Table

from hansa.platform.database.platform_tables import service_metadata
from hansa.platform.database.tables import COUNT, DOCUMENT, FLAG, ID, MOMENT, TEXT, field, key, optional, slot

METADATA = service_metadata()

FLASH_SALES = Table(
    "flash_sales",
    METADATA,
    slot(),
    key("sale_id"),
    field("sku", TEXT),
    field("name", TEXT),
    field("price", COUNT),
    field("currency", TEXT),
    field("quantity", COUNT),
    field("limit_per_buyer", COUNT),
    field("starts_at", MOMENT),
    field("ends_at", MOMENT),
    field("claimed", COUNT),
    field("is_cancelled", FLAG),
    field("created_at", MOMENT),
    field("version", COUNT),
    CheckConstraint("claimed >= 0 AND claimed <= quantity", name="claimed"),
    CheckConstraint("price > 0 AND limit_per_buyer > 0", name="terms"),
    # A shop has few sales, and few of them are not over: these are looked for in all slots.
    Index(None, "ends_at"),
    Index(None, "sale_id"),
)
"""`claimed` is the sum of the claims that are held; `version` grows with every change."""

FLASH_BUYERS = Table(
    "flash_buyers",
    METADATA,
    slot(),
    key("sale_id"),
    key("member", ID),
    field("claimed", COUNT),
    CheckConstraint("claimed >= 0", name="claimed"),
)
"""One counter for each sale and person, from the moment on that they were let in: who has none has no order there."""

FLASH_CLAIMS = Table(
    "flash_claims",
    METADATA,
    slot(),
    key("sale_id"),
    key("order_id", ID),
    optional("member", ID),
    field("quantity", COUNT),
    field("state", TEXT),
    optional("refusal", DOCUMENT),
    field("claimed_at", MOMENT),
    CheckConstraint("state IN ('held', 'released', 'refused')", name="state"),
    CheckConstraint("quantity >= 0 AND (state <> 'held' OR (quantity > 0 AND member IS NOT NULL))", name="held"),
)
"""What became of an order's wish. One released before it was ever claimed has neither member nor pieces."""
