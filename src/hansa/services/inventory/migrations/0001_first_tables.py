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
        "leases",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slot", "name", name=op.f("leases_pk")),
    )
    op.create_table(
        "movements",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sku", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("location", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("bucket", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("on_hand", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("sold", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slot", "sku", "location", "bucket", "version", name=op.f("movements_pk")),
        sqlite_with_rowid=False,
    )
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
        "reservations",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("lines", sa.Text(), nullable=False),
        sa.Column("locations", sa.Text(), nullable=False),
        sa.Column("parts", sa.Text(), nullable=False),
        sa.Column("refusal", sa.Text(), nullable=True),
        sa.Column("returned", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "returned IS NULL OR state IN ('sold', 'released')", name=op.f("reservations_returned_check")
        ),
        sa.CheckConstraint(
            "state IN ('held', 'sold', 'expired', 'released', 'refused')", name=op.f("reservations_state_check")
        ),
        sa.PrimaryKeyConstraint("order_id", "slot", name=op.f("reservations_pk")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "reservations_held_index",
        "reservations",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("state = 'held'"),
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_table(
        "stock",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sku", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("location", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("bucket", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("on_hand", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("sold", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("on_hand >= reserved", name=op.f("stock_on_hand_check")),
        sa.CheckConstraint("reserved >= 0", name=op.f("stock_reserved_check")),
        sa.CheckConstraint("sold >= 0", name=op.f("stock_sold_check")),
        sa.PrimaryKeyConstraint("slot", "sku", "location", "bucket", name=op.f("stock_pk")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("stock_sku_index"), "stock", ["sku"], unique=False)
