"""What notifications keep: mails in the slots of their orders, deliveries in those of their events, and webhooks, few
as they are, in one."""

from sqlalchemy import CheckConstraint, Index, Table, UniqueConstraint

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

WEBHOOKS = Table(
    "webhooks",
    METADATA,
    slot(),
    key("webhook_id"),
    optional("place", COUNT),
    field("url", TEXT),
    field("types", DOCUMENT),
    field("description", TEXT),
    field("state", TEXT),
    field("reason", TEXT),
    field("secret", TEXT),
    field("old_secret", TEXT),
    optional("old_until", MOMENT),
    optional("failing_since", MOMENT),
    optional("failed_at", MOMENT),
    optional("replayed_at", MOMENT),
    field("created_at", MOMENT),
    field("updated_at", MOMENT),
    field("version", COUNT),
    UniqueConstraint("slot", "place"),
    CheckConstraint("state IN ('active', 'paused', 'failing', 'gone', 'deleted')", name="state"),
    CheckConstraint("(state = 'deleted') = (place IS NULL)", name="place"),
    CheckConstraint("place >= 0 AND place < 50", name="most"),
    CheckConstraint("state <> 'deleted' OR (secret = '' AND old_secret = '')", name="forgotten_when_deleted"),
)
"""Each has one of 50 places, so that there are never more. Secrets are sealed. `version` counts what staff can see.
It has been failing since the first failure after something arrived, if failures went on: the latest was at `failed_at`.
"""

WEBHOOK_MESSAGES = Table(
    "webhook_messages",
    METADATA,
    slot(),
    key("event_id"),
    field("body", DOCUMENT),
    key_by("event_id", "slot"),
)
"""What is sent of an event: once, however many webhooks hear of it."""

WEBHOOK_DELIVERIES = Table(
    "webhook_deliveries",
    METADATA,
    slot(),
    key("event_id"),
    key("webhook_id"),
    field("type", TEXT),
    field("state", TEXT),
    field("attempts", COUNT),
    field("replays", COUNT),
    optional("next_at", MOMENT),
    optional("status", COUNT),
    field("error", TEXT),
    optional("took_ms", COUNT),
    field("noted_at", MOMENT),
    optional("last_at", MOMENT),
    key_by("event_id", "slot", "webhook_id"),
    CheckConstraint("state IN ('due', 'delivered', 'failed', 'dropped')", name="state"),
    CheckConstraint("(state = 'due') = (next_at IS NOT NULL)", name="sent_while_due"),
    Index(None, "webhook_id", "next_at"),
    Index(None, "webhook_id", "event_id"),
    Index(None, "state", "event_id"),
)
"""The log: one row for an event and a webhook that hears it, due until it has arrived or was given up."""
