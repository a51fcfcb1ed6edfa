"""First tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("audit_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("slot", "audit_id", name=op.f("audit_pk")),
    )
    op.create_index(op.f("audit_at_index"), "audit", ["at"], unique=False)
    op.create_index(op.f("audit_slot_target_index"), "audit", ["slot", "target"], unique=False)
    op.create_table(
        "commands",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("claimed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slot", "key", name=op.f("commands_pk")),
    )
    op.create_index(op.f("commands_claimed_at_index"), "commands", ["claimed_at"], unique=False)
    op.create_table(
        "dead_letters",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("consumer", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("envelope", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("parked_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slot", "event_id", "consumer", name=op.f("dead_letters_pk")),
    )
    op.create_table(
        "fulfilments",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("fulfilment_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("parcels", sa.Text(), nullable=False),
        sa.Column("lines", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('shipped', 'delivered', 'returned')", name=op.f("fulfilments_state_check")),
        sa.PrimaryKeyConstraint("slot", "order_id", "fulfilment_id", name=op.f("fulfilments_pk")),
    )
    op.create_table(
        "inbox",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("consumer", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("handled_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "slot", "consumer", name=op.f("inbox_pk")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("inbox_handled_at_index"), "inbox", ["handled_at"], unique=False)
    op.create_table(
        "leases",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slot", "name", name=op.f("leases_pk")),
    )
    op.create_table(
        "order_carts",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cart_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slot", "cart_id", name=op.f("order_carts_pk")),
    )
    op.create_table(
        "order_entries",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.CheckConstraint("number > 0", name=op.f("order_entries_number_check")),
        sa.PrimaryKeyConstraint("order_id", "slot", "number", name=op.f("order_entries_pk")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "order_keys",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slot", "key", name=op.f("order_keys_pk")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("order_keys_claimed_at_index"), "order_keys", ["claimed_at"], unique=False)
    op.create_table(
        "order_lines",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sku", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("unit_price", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("tax_class", sa.Text(), nullable=False),
        sa.Column("seller_id", sa.Text(), nullable=False),
        sa.Column("fulfilled", sa.BigInteger(), nullable=False),
        sa.Column("returned", sa.BigInteger(), nullable=False),
        sa.Column("cancelled", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("fulfilled + cancelled <= quantity", name=op.f("order_lines_ordered_check")),
        sa.CheckConstraint(
            "quantity > 0 AND fulfilled >= 0 AND returned >= 0 AND cancelled >= 0",
            name=op.f("order_lines_counts_check"),
        ),
        sa.CheckConstraint("returned <= fulfilled", name=op.f("order_lines_returned_check")),
        sa.PrimaryKeyConstraint("order_id", "slot", "sku", name=op.f("order_lines_pk")),
    )
    op.create_table(
        "order_refunds",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("refund_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('pending', 'refunded', 'failed')", name=op.f("order_refunds_state_check")),
        sa.CheckConstraint("amount >= 0", name=op.f("order_refunds_amount_check")),
        sa.PrimaryKeyConstraint("slot", "order_id", "refund_id", name=op.f("order_refunds_pk")),
    )
    op.create_table(
        "orders",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("member", sa.BigInteger(), nullable=True),
        sa.Column("cart_id", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("review", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("subtotal", sa.BigInteger(), nullable=False),
        sa.Column("adjustments", sa.Text(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("pieces", sa.BigInteger(), nullable=False),
        sa.Column("delivery", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("payment_token", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("payment_state", sa.Text(), nullable=False),
        sa.Column("authorized", sa.BigInteger(), nullable=False),
        sa.Column("captured", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("resume_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "(status = 'pending') = (resume_at IS NOT NULL)", name=op.f("orders_resumed_while_pending_check")
        ),
        sa.CheckConstraint(
            "payment_state IN ('pending', 'authorized', 'captured', 'failed', 'voided')",
            name=op.f("orders_payment_state_check"),
        ),
        sa.CheckConstraint(
            "status = 'pending' OR (answer IS NOT NULL AND payment_token = '')", name=op.f("orders_settled_check")
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'placed', 'rejected', 'cancelled', 'completed')", name=op.f("orders_status_check")
        ),
        sa.CheckConstraint(
            "status NOT IN ('placed', 'completed') OR payment_state = 'captured'",
            name=op.f("orders_placed_is_paid_check"),
        ),
        sa.CheckConstraint(
            "total >= 0 AND authorized >= 0 AND captured >= 0 AND pieces > 0", name=op.f("orders_counts_check")
        ),
        sa.PrimaryKeyConstraint("order_id", "slot", name=op.f("orders_pk")),
    )
    op.create_index(
        "orders_member_index",
        "orders",
        ["slot", "member", "order_id"],
        unique=False,
        sqlite_where=sa.text("member IS NOT NULL"),
        postgresql_where=sa.text("member IS NOT NULL"),
    )
    op.create_index(
        "orders_resume_at_index",
        "orders",
        ["resume_at"],
        unique=False,
        sqlite_where=sa.text("resume_at IS NOT NULL"),
        postgresql_where=sa.text("resume_at IS NOT NULL"),
    )
    op.create_index(op.f("orders_status_order_id_index"), "orders", ["status", "order_id"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("envelope", sa.Text(), nullable=False),
        sa.Column("written_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "slot", name=op.f("outbox_pk")),
    )
    op.create_table(
        "published",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "slot", name=op.f("published_pk")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("published_published_at_index"), "published", ["published_at"], unique=False)
    op.create_table(
        "refund_requests",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("restock", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("resume_at", sa.BigInteger(), nullable=True),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "(answer IS NULL) = (resume_at IS NOT NULL)", name=op.f("refund_requests_resumed_until_answered_check")
        ),
        sa.PrimaryKeyConstraint("slot", "key", name=op.f("refund_requests_pk")),
    )
    op.create_index(op.f("refund_requests_resume_at_index"), "refund_requests", ["resume_at"], unique=False)
