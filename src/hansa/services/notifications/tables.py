"""What notifications keep: mails that are to be sent, sharded as the orders they are about."""

from sqlalchemy import CheckConstraint, Index, Table

from hansa.platform.database.platform_tables import service_metadata
from hansa.platform.database.tables import COUNT, DOCUMENT, MOMENT, TEXT, field, key, key_by, optional, personal, slot

METADATA = service_metadata()

MAILS = Table(
    "mails",
    METADATA,
    slot(),
    key("order_id"),
    key("kind", TEXT),
    field("person", TEXT),
    personal("contact", purpose="writing to whom the order belongs", retention="until the mail is sent or given up"),
    field("locale", TEXT),
    field("facts", DOCUMENT),
    field("state", TEXT),
    field("attempts", COUNT),
    optional("next_at", MOMENT),
    field("created_at", MOMENT),
    field("updated_at", MOMENT),
    key_by("order_id", "slot", "kind"),
    CheckConstraint("state IN ('due', 'sent', 'failed', 'dropped')", name="state"),
    CheckConstraint("(state = 'due') = (next_at IS NOT NULL)", name="sent_while_due"),
    CheckConstraint("state = 'due' OR contact = ''", name="forgotten_when_over"),
    Index(None, "next_at"),
)
"""One mail of a kind for an order. `dropped` is a mail to somebody who has been erased meanwhile."""
