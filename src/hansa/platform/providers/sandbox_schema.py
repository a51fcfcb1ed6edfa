"""The tables of the sandbox provider's own books, and their indexes."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS charges (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    request TEXT NOT NULL,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    captures INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    webhooks INTEGER NOT NULL,
    ripens_at INTEGER,
    captured INTEGER NOT NULL DEFAULT 0,
    refunded INTEGER NOT NULL DEFAULT 0,
    CHECK (0 <= refunded AND refunded <= captured AND captured <= amount)
) STRICT;
CREATE INDEX IF NOT EXISTS ripening ON charges (ripens_at) WHERE ripens_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS refunds (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    charge INTEGER NOT NULL REFERENCES charges (number),
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS entries (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    made_at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS deliveries (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL,
    copies INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS due ON deliveries (due_at) WHERE due_at IS NOT NULL;
"""
