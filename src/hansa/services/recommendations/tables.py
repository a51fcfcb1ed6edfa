"""What recommendations keep: what visitors did, in the slot of their pseudonym."""

from sqlalchemy import Index, Table

from hansa.platform.database.platform_tables import service_metadata
from hansa.platform.database.tables import COUNT, ID, MOMENT, TEXT, field, key, optional, slot

METADATA = service_metadata()

BEHAVIOUR = Table(
    "behaviour",
    METADATA,
    slot(),
    key("visitor_hash", TEXT),
    key("batch", TEXT),
    key("number", COUNT),
    field("kind", TEXT),
    optional("product_id", ID),
    optional("slug", TEXT),
    optional("sku", TEXT),
    optional("query", TEXT),
    optional("position", COUNT),
    optional("page", TEXT),
    optional("locale", TEXT),
    field("seen_at", MOMENT),
    Index(None, "seen_at"),
)
"""`visitor_hash` is of a pseudonym, under a key of its month. Batch and number make a repeated batch the same rows."""
