"""What is kept of carts: whose they are, what they hold, and which one is a member's open one."""

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Table, UniqueConstraint

from hansa.platform.database.platform_tables import service_metadata
from hansa.platform.database.tables import COUNT, FLAG, ID, MOMENT, TEXT, field, key, optional, slot

METADATA = service_metadata()

CARTS = Table(
    "carts",
    METADATA,
    slot(),
    key("cart_id"),
    optional("member", ID),
    field("secret", TEXT),
    field("currency", TEXT),
    field("is_open", FLAG),
    field("version", COUNT),
    field("created_at", MOMENT),
    field("updated_at", MOMENT),
    optional("merged_into", ID),
    optional("continued_in", ID),
    CheckConstraint("(member IS NULL) <> (secret = '')", name="owned"),
    CheckConstraint("merged_into IS NULL OR NOT is_open", name="merged_closed"),
    CheckConstraint("continued_in IS NULL OR NOT is_open", name="continued_closed"),
)
"""A cart is a member's, or a guest's who knows its secret. The slot is the member's, else one drawn by chance.
`merged_into` is the member's cart that a guest's went into; `continued_in` is the next cart of the same owner, with
what was put into this one while it was being ordered, and for a guest with the same secret."""

CART_LINES = Table(
    "cart_lines",
    METADATA,
    slot(),
    key("cart_id"),
    key("sku", TEXT),
    field("quantity", COUNT),
    field("added_at", MOMENT),
    ForeignKeyConstraint(["slot", "cart_id"], ["carts.slot", "carts.cart_id"], ondelete="CASCADE"),
    CheckConstraint("quantity > 0", name="some"),
)

MEMBER_CARTS = Table(
    "member_carts",
    METADATA,
    slot(),
    key("member"),
    field("cart_id", ID),
    UniqueConstraint("slot", "cart_id"),
)
"""The one open cart of each member who has one. Who changes both locks this row first and the cart's second."""
