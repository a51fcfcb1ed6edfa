"""What is kept of people: accounts, which e-mail address is whose, sessions, address books, and consents."""

from sqlalchemy import CheckConstraint, Index, Table, UniqueConstraint, text

from hansa.platform.database.platform_tables import service_metadata
from hansa.platform.database.tables import COUNT, FLAG, ID, MOMENT, TEXT, field, key, optional, personal, slot

METADATA = service_metadata()

USERS = Table(
    "users",
    METADATA,
    slot(),
    key("user_id"),
    personal("email", purpose="signing in, and messages about orders", retention="until the account is erased"),
    personal("name", purpose="addressing the person", retention="until the account is erased"),
    field("password_hash", TEXT),
    field("password_version", COUNT),
    field("roles", TEXT),
    field("locale", TEXT),
    field("created_at", MOMENT),
    CheckConstraint("password_hash LIKE '$argon2id$%'", name="hashed"),
    Index(None, "user_id"),
)
"""The slot is that of the e-mail address at birth, and everything the person owns inherits it. Roles are separated by
spaces. `password_version` counts passwords, not hashes of one."""

IDENTITIES = Table(
    "identities",
    METADATA,
    slot(),
    key("email_hash", TEXT),
    field("user_id", ID),
    field("claimed_at", MOMENT),
)
"""Which address is whose, by a keyed hash of it (whose own hash is the slot): the place where it is unique."""

SESSIONS = Table(
    "sessions",
    METADATA,
    slot(),
    key("session_id"),
    field("user_id", ID),
    field("token_hash", TEXT),
    field("roles", TEXT),
    field("made_by", TEXT),
    field("started_at", MOMENT),
    field("expires_at", MOMENT),
    optional("ended_at", MOMENT),
    UniqueConstraint("slot", "user_id", "made_by"),
    Index(None, "expires_at"),
)
"""Sign-ins, in the user's slot. A sign-in's key makes one session at a time; `roles` are those of its start, so that
who asks is known from this row alone."""

ADDRESSES = Table(
    "addresses",
    METADATA,
    slot(),
    key("user_id"),
    key("saved_id"),
    personal("address", purpose="sending orders without asking again", retention="until the person removes it"),
    field("is_default", FLAG),
    Index(
        "addresses_default_index",
        "slot",
        "user_id",
        unique=True,
        sqlite_where=text("is_default"),
        postgresql_where=text("is_default"),
    ),
)
"""Address books, in the user's slot; changed by whoever holds the user's row."""

CONSENTS = Table(
    "consents",
    METADATA,
    slot(),
    key("user_id"),
    key("purpose", TEXT),
    key("number", COUNT),
    field("given", FLAG),
    field("source", TEXT),
    field("at", MOMENT),
    CheckConstraint("number > 0", name="number"),
)
"""What people have allowed and withdrawn: rows are added by whoever holds the user's row, and never changed. Of a
purpose the row with the highest number counts."""
