"""What orders keep, and under which shard key: a member's orders lie in the member's slot, a guest's in the cart's."""

from sqlalchemy import CheckConstraint, Index, Table, text

from hansa.platform.database.platform_tables import service_metadata
from hansa.platform.database.tables import (
    COUNT,
    DOCUMENT,
    ID,
    MOMENT,
    TEXT,
    field,
    key,
    key_by,
    optional,
    personal,
    slot,
)

METADATA = service_metadata()

ORDERS = Table(
    "orders",
    METADATA,
    slot(),
    key("order_id"),
    optional("member", ID),
    optional("cart_id", ID),
    field("status", TEXT),
    optional("reason", TEXT),
    field("review", TEXT),
    field("channel", TEXT),
    field("locale", TEXT),
    field("currency", TEXT),
    field("subtotal", COUNT),
    field("adjustments", DOCUMENT),
    field("total", COUNT),
    field("pieces", COUNT),
    field("delivery", DOCUMENT),
    field("country", TEXT),
    field("person", TEXT),
    personal("contact", purpose="delivering the order and writing to its buyer", retention="as long as the order"),
    personal("payment_token", purpose="charging the order", retention="until the order is no longer pending"),
    field("provider", TEXT),
    field("payment_state", TEXT),
    field("authorized", COUNT),
    field("captured", COUNT),
    optional("answer", DOCUMENT),
    field("version", COUNT),
    field("attempts", COUNT),
    optional("resume_at", MOMENT),
    field("created_at", MOMENT),
    field("updated_at", MOMENT),
    CheckConstraint("status IN ('pending', 'placed', 'rejected', 'cancelled', 'completed')", name="status"),
    CheckConstraint("payment_state IN ('pending', 'authorized', 'captured', 'failed', 'voided')", name="payment_state"),
    CheckConstraint("total >= 0 AND authorized >= 0 AND captured >= 0 AND pieces > 0", name="counts"),
    CheckConstraint("(status = 'pending') = (resume_at IS NOT NULL)", name="resumed_while_pending"),
    CheckConstraint("status = 'pending' OR (answer IS NOT NULL AND payment_token = '')", name="settled"),
    CheckConstraint("status NOT IN ('placed', 'completed') OR payment_state = 'captured'", name="placed_is_paid"),
    key_by("order_id", "slot"),
    Index(
        "orders_member_index",
        "slot",
        "member",
        "order_id",
        sqlite_where=text("member IS NOT NULL"),
        postgresql_where=text("member IS NOT NULL"),
    ),
    Index(None, "status", "order_id"),
    Index(
        "orders_resume_at_index",
        "resume_at",
        sqlite_where=text("resume_at IS NOT NULL"),
        postgresql_where=text("resume_at IS NOT NULL"),
    ),
)
"""`answer` is what whoever placed the order was told first, without personal data. `resume_at` is when somebody looks
after a pending order again, so that none is forgotten. `country` outlives the person: taxes are accounted by it."""

ORDER_LINES = Table(
    "order_lines",
    METADATA,
    slot(),
    key("order_id"),
    key("sku", TEXT),
    field("position", COUNT),
    field("product_id", ID),
    field("name", TEXT),
    field("options", DOCUMENT),
    field("quantity", COUNT),
    field("unit_price", COUNT),
    field("total", COUNT),
    field("tax_class", TEXT),
    field("seller_id", TEXT),
    field("fulfilled", COUNT),
    field("returned", COUNT),
    field("cancelled", COUNT),
    CheckConstraint("quantity > 0 AND fulfilled >= 0 AND returned >= 0 AND cancelled >= 0", name="counts"),
    CheckConstraint("fulfilled + cancelled <= quantity", name="ordered"),
    CheckConstraint("returned <= fulfilled", name="returned"),
    key_by("order_id", "slot", "sku"),
)
"""Snapshots of what was sold, and how many pieces are where in their life; changed by whoever holds the order's row."""

ORDER_KEYS = Table(
    "order_keys",
    METADATA,
    slot(),
    key("key", TEXT),
    field("request", TEXT),
    field("order_id", ID),
    field("claimed_at", MOMENT),
    Index(None, "claimed_at"),
    sqlite_with_rowid=False,
)
"""Which order an idempotency key stands for, sharded by the member or the key; `request` is the draft's keyed hash."""

ORDER_CARTS = Table("order_carts", METADATA, slot(), key("cart_id"), field("order_id", ID))
"""Which order a cart has become, sharded as the cart: at most one that lives."""

FULFILMENTS = Table(
    "fulfilments",
    METADATA,
    slot(),
    key("order_id"),
    key("fulfilment_id"),
    field("location", TEXT),
    field("method", TEXT),
    field("state", TEXT),
    field("parcels", DOCUMENT),
    field("lines", DOCUMENT),
    field("created_at", MOMENT),
    CheckConstraint("state IN ('shipped', 'delivered', 'returned')", name="state"),
)

ORDER_REFUNDS = Table(
    "order_refunds",
    METADATA,
    slot(),
    key("order_id"),
    key("refund_id"),
    field("amount", COUNT),
    field("state", TEXT),
    field("reason", TEXT),
    field("created_at", MOMENT),
    CheckConstraint("state IN ('pending', 'refunded', 'failed')", name="state"),
    CheckConstraint("amount >= 0", name="amount"),
)
"""What payments gave back, under payments' own ids: from its answers and from its events, in whichever order."""

ORDER_ENTRIES = Table(
    "order_entries",
    METADATA,
    slot(),
    key("order_id"),
    key("number", COUNT),
    field("at", MOMENT),
    field("kind", TEXT),
    field("actor", TEXT),
    field("detail", DOCUMENT),
    CheckConstraint("number > 0", name="number"),
    key_by("order_id", "slot", "number"),
    sqlite_with_rowid=False,
)
"""What happened to an order after it was made, numbered by whoever holds its row: added in the commit that did it, and
never changed."""

REFUND_REQUESTS = Table(
    "refund_requests",
    METADATA,
    slot(),
    key("key", TEXT),
    field("request", TEXT),
    field("order_id", ID),
    optional("amount", COUNT),
    field("reason", TEXT),
    field("restock", DOCUMENT),
    optional("answer", DOCUMENT),
    field("attempts", COUNT),
    optional("resume_at", MOMENT),
    field("asked_at", MOMENT),
    CheckConstraint("(answer IS NULL) = (resume_at IS NOT NULL)", name="resumed_until_answered"),
    Index(None, "resume_at"),
)
"""Refunds that staff have asked for, until payments has answered: whatever dies meanwhile, each is carried out once."""
