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
        "intents",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("payment_id", sa.BigInteger(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("captured", sa.BigInteger(), nullable=False),
        sa.Column("refunding", sa.BigInteger(), nullable=False),
        sa.Column("refunded", sa.BigInteger(), nullable=False),
        sa.Column("is_closed", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_look_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("captured = 0 OR state = 'captured'", name=op.f("intents_captured_check")),
        sa.CheckConstraint("mode IN ('charge', 'authorize')", name=op.f("intents_mode_check")),
        sa.CheckConstraint(
            "state IN ('created', 'pending', 'authorized', 'captured', 'failed', 'voided')",
            name=op.f("intents_state_check"),
        ),
        sa.CheckConstraint("token = '' OR state IN ('created', 'pending')", name=op.f("intents_token_check")),
        sa.CheckConstraint(
            "0 <= refunding AND 0 <= refunded AND refunded + refunding <= captured AND captured <= amount",
            name=op.f("intents_sums_check"),
        ),
        sa.PrimaryKeyConstraint("order_id", "slot", name=op.f("intents_pk")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("intents_next_look_at_index"),
        "intents",
        ["next_look_at"],
        unique=False,
        postgresql_where=sa.text("next_look_at IS NOT NULL"),
        sqlite_where=sa.text("next_look_at IS NOT NULL"),
    )
    op.create_table(
        "leases",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slot", "name", name=op.f("leases_pk")),
    )
    op.create_table(
        "notices",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("provider", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("notice_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("heard_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slot", "provider", "notice_id", name=op.f("notices_pk")),
    )
    op.create_index(op.f("notices_heard_at_index"), "notices", ["heard_at"], unique=False)
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
        "refunds",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("refund_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_look_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('pending', 'refunded', 'failed')", name=op.f("refunds_state_check")),
        sa.CheckConstraint("amount > 0", name=op.f("refunds_amount_check")),
        sa.ForeignKeyConstraint(
            ["slot", "order_id"],
            ["intents.slot", "intents.order_id"],
        ),
        sa.PrimaryKeyConstraint("slot", "order_id", "refund_id", name=op.f("refunds_pk")),
        sa.UniqueConstraint("slot", "order_id", "key", name=op.f("refunds_slot_order_id_key_unique")),
    )
    op.create_index(
        op.f("refunds_next_look_at_index"),
        "refunds",
        ["next_look_at"],
        unique=False,
        postgresql_where=sa.text("next_look_at IS NOT NULL"),
        sqlite_where=sa.text("next_look_at IS NOT NULL"),
    )
