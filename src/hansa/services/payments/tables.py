"""What payments keep: one intent per order, its refunds, and the webhooks already heard. All in the order's slot."""

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Table, UniqueConstraint, text

from hansa.platform.database.platform_tables import service_metadata
from hansa.platform.database.tables import COUNT, FLAG, ID, MOMENT, TEXT, field, key, key_by, optional, personal, slot

METADATA = service_metadata()

INTENTS = Table(
    "intents",
    METADATA,
    slot(),
    key("order_id"),
    field("payment_id", ID),
    field("provider", TEXT),
    field("request", TEXT),
    personal("token", purpose="to charge the buyer", retention="until the provider has said yes or no"),
    field("amount", COUNT),
    field("currency", TEXT),
    field("mode", TEXT),
    field("state", TEXT),
    field("reference", TEXT),
    field("reason", TEXT),
    field("captured", COUNT),
    field("refunding", COUNT),
    field("refunded", COUNT),
    field("is_closed", FLAG),
    field("version", COUNT),
    field("attempts", COUNT),
    optional("next_look_at", MOMENT),
    field("created_at", MOMENT),
    key_by("order_id", "slot"),
    CheckConstraint("mode IN ('charge', 'authorize')", name="mode"),
    CheckConstraint("state IN ('created', 'pending', 'authorized', 'captured', 'failed', 'voided')", name="state"),
    CheckConstraint(
        "0 <= refunding AND 0 <= refunded AND refunded + refunding <= captured AND captured <= amount", name="sums"
    ),
    CheckConstraint("captured = 0 OR state = 'captured'", name="captured"),
    CheckConstraint("token = '' OR state IN ('created', 'pending')", name="token"),
    Index(
        None,
        "next_look_at",
        postgresql_where=text("next_look_at IS NOT NULL"),
        sqlite_where=text("next_look_at IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)
"""The payment of an order, from before the provider is asked. `refunding` is promised and not yet given back. A closed
order without a payment has a row too, without a provider, so that a late charge finds the door shut."""

REFUNDS = Table(
    "refunds",
    METADATA,
    slot(),
    key("order_id"),
    key("refund_id"),
    field("key", TEXT),
    field("amount", COUNT),
    field("reason", TEXT),
    field("state", TEXT),
    field("answer", TEXT),
    field("attempts", COUNT),
    optional("next_look_at", MOMENT),
    field("created_at", MOMENT),
    ForeignKeyConstraint(["slot", "order_id"], [INTENTS.c.slot, INTENTS.c.order_id]),
    UniqueConstraint("slot", "order_id", "key"),
    CheckConstraint("amount > 0", name="amount"),
    CheckConstraint("state IN ('pending', 'refunded', 'failed')", name="state"),
    Index(
        None,
        "next_look_at",
        postgresql_where=text("next_look_at IS NOT NULL"),
        sqlite_where=text("next_look_at IS NOT NULL"),
    ),
)
"""Money on its way back; `answer` is what the provider said of it."""

NOTICES = Table(
    "notices",
    METADATA,
    slot(),
    key("provider", TEXT),
    key("notice_id", TEXT),
    field("order_id", ID),
    field("heard_at", MOMENT),
    Index(None, "heard_at"),
)
"""Webhooks whose effect has been committed."""
