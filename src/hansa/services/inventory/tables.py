"""What inventory keeps: levels and ledger in the slot of sku and location, reservations in that of their order."""

from sqlalchemy import CheckConstraint, Index, Table, text

from hansa.platform.database.platform_tables import service_metadata
from hansa.platform.database.tables import COUNT, DOCUMENT, MOMENT, TEXT, field, key, key_by, optional, slot

METADATA = service_metadata()

STOCK = Table(
    "stock",
    METADATA,
    slot(),
    key("sku", TEXT),
    key("location", TEXT),
    key("bucket", COUNT),
    field("on_hand", COUNT),
    field("reserved", COUNT),
    field("sold", COUNT),
    field("version", COUNT),
    CheckConstraint("reserved >= 0", name="reserved"),
    CheckConstraint("on_hand >= reserved", name="on_hand"),
    CheckConstraint("sold >= 0", name="sold"),
    Index(None, "sku"),
    sqlite_with_rowid=False,
)
"""How many pieces there are; `version` counts the lines of the ledger that made a row."""

MOVEMENTS = Table(
    "movements",
    METADATA,
    slot(),
    key("sku", TEXT),
    key("location", TEXT),
    key("bucket", COUNT),
    key("version", COUNT),
    field("kind", TEXT),
    field("on_hand", COUNT),
    field("reserved", COUNT),
    field("sold", COUNT),
    field("reference", TEXT),
    field("at", MOMENT),
    sqlite_with_rowid=False,
)
"""The ledger: a level's lines are numbered 1, 2, 3 … by the version each makes, so a lost or doubled one shows."""

RESERVATIONS = Table(
    "reservations",
    METADATA,
    slot(),
    key("order_id"),
    field("state", TEXT),
    field("lines", DOCUMENT),
    field("locations", DOCUMENT),
    field("parts", DOCUMENT),
    optional("refusal", DOCUMENT),
    optional("returned", DOCUMENT),
    field("expires_at", MOMENT),
    key_by("order_id", "slot"),
    CheckConstraint("state IN ('held', 'sold', 'expired', 'released', 'refused')", name="state"),
    CheckConstraint("returned IS NULL OR state IN ('sold', 'released')", name="returned"),
    # Of all the orders there ever were, only those in the making are looked at by the hour.
    Index(
        "reservations_held_index",
        "expires_at",
        sqlite_where=text("state = 'held'"),
        postgresql_where=text("state = 'held'"),
    ),
    sqlite_with_rowid=False,
)
"""What an order asked for (`lines`, from `locations`), where it was found (`parts`) and what became of it. One that has
`expired` holds nothing, but may still be sold what is there; one that was `released` is over for good. The `parts` of
all that are `held` are what levels have reserved; of those that were sold, `returned` are the parts that came back."""
