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
        "banners",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("banners", sa.Text(), nullable=False),
        sa.CheckConstraint("version >= 1", name=op.f("banners_version_check")),
        sa.PrimaryKeyConstraint("slot", "name", name=op.f("banners_pk")),
    )
    op.create_table(
        "cards",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("product_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("is_available", sa.Boolean(), nullable=False),
        sa.Column("sold", sa.BigInteger(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("picture", sa.Text(), nullable=True),
        sa.Column("face", sa.Text(), nullable=False),
        sa.CheckConstraint("sold >= 0", name=op.f("cards_sold_check")),
        sa.CheckConstraint("version >= 0", name=op.f("cards_version_check")),
        sa.PrimaryKeyConstraint("slot", "product_id", name=op.f("cards_pk")),
    )
    op.create_table(
        "categories",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("path", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("depth", sa.BigInteger(), nullable=False),
        sa.Column("names", sa.Text(), nullable=False),
        sa.Column("products", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("products >= 0", name=op.f("categories_products_check")),
        sa.PrimaryKeyConstraint("slot", "path", name=op.f("categories_pk")),
    )
    op.create_index(
        op.f("categories_slot_depth_products_index"), "categories", ["slot", "depth", "products"], unique=False
    )
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
        "orders",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.BigInteger(), nullable=False),
        sa.Column("pieces", sa.Text(), nullable=False),
        sa.Column("is_cancelled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("order_id", "slot", name=op.f("orders_pk")),
    )
    op.create_index(op.f("orders_day_index"), "orders", ["day"], unique=False)
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
        "sales",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("product_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pieces", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("pieces >= 0", name=op.f("sales_pieces_check")),
        sa.PrimaryKeyConstraint("slot", "product_id", "day", name=op.f("sales_pk")),
    )
    op.create_index(op.f("sales_day_index"), "sales", ["day"], unique=False)
    op.create_table(
        "shelves",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("product_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("shelf", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("score", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slot", "product_id", "shelf", name=op.f("shelves_pk")),
    )
    op.create_index(
        op.f("shelves_slot_shelf_score_product_id_index"),
        "shelves",
        ["slot", "shelf", "score", "product_id"],
        unique=False,
    )
    op.create_table(
        "variants",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("product_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sku", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("is_on_sale", sa.Boolean(), nullable=False),
        sa.Column("is_available", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slot", "product_id", "sku", name=op.f("variants_pk")),
    )
