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
        "availabilities",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("product_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sku", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("is_available", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slot", "product_id", "sku", name=op.f("availabilities_pk")),
    )
    op.create_index(op.f("availabilities_changed_at_index"), "availabilities", ["changed_at"], unique=False)
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
        "documents",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("product_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("version >= 1", name=op.f("documents_version_check")),
        sa.PrimaryKeyConstraint("slot", "product_id", name=op.f("documents_pk")),
    )
    op.create_index(op.f("documents_changed_at_index"), "documents", ["changed_at"], unique=False)
    op.create_index(op.f("documents_due_at_index"), "documents", ["due_at"], unique=False)
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
