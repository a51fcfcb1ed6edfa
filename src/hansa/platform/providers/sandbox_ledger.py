"""The sandbox provider's own books: a SQLite file that the shop never touches, with commits of its own."""

import asyncio
import hashlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from hansa.kernel.errors import Fault
from hansa.kernel.money import Money
from hansa.platform.providers.payments import Answer, ProviderKeyConflict, RefundAnswer

T = TypeVar("T")
Act = Callable[[sqlite3.Connection], T]

FILE = "ledger.sqlite"
LARGEST_BATCH = 256
"""Acts that share one commit."""
LARGEST_DELIVERY = 32
"""Webhooks sent at once."""
BUSY_TIMEOUT_S = 10.0
OPENING_ATTEMPTS = 100
OPENING_PAUSE_S = 0.02
SECOND = 1_000_000
CLAIMED_FOR = 10 * SECOND
"""How long a webhook counts as being sent; one whose sender died is sent again after that."""
RETRIES = tuple(int(seconds * SECOND) for seconds in (0.5, 1, 2, 4, 8, 16))
"""Pauses before an unacknowledged webhook is sent again; after the last one it is given up."""

_SCHEMA = """
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
_REFUSED = ""
"""The request of a charge that was voided before it arrived."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the books, as an auditor sees it; `key` is that of the charge."""

    key: str
    kind: Literal["authorized", "captured", "voided", "refunded"]
    amount: Money
    made_at: int


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a webhook."""

    type: str
    key: str
    answer: Answer


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook to be sent."""

    number: int
    id: str
    body: bytes


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a new charge: at once, or after a while and then told by so many copies of a webhook."""

    is_declined: bool = False
    reason: str = ""
    ripens_after: int | None = None
    webhooks: int = 0


class Ledger:
    """The file and its only writer. Acts that come at the same time share one commit, and each fails alone."""

    def __init__(self, *, folder: Path) -> None:
        self._path = folder / FILE
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-ledger")
        self._connection: sqlite3.Connection | None = None
        self._waiting: list[tuple[Act[Any], asyncio.Future[Any]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def run(self, act: Act[T]) -> T:
        """What the act returned or raised, once it is on the disk. It goes on if the caller leaves."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()
        self._waiting.append((act, outcome))
        if self._writing is None:
            self._writing = loop.create_task(self._write(), context=Context())
        return await outcome

    async def close(self) -> None:
        if self._writing is not None:
            await self._writing
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown()

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:LARGEST_BATCH], self._waiting[LARGEST_BATCH:]
                acts = [act for act, _ in batch]
                results = await loop.run_in_executor(self._thread, self._commit, acts)
                for (_, outcome), result in zip(batch, results, strict=True):
                    if outcome.done():
                        continue
                    if isinstance(result, Exception):
                        outcome.set_exception(result)
                    else:
                        outcome.set_result(result)
        finally:
            self._writing = None

    def _commit(self, acts: Sequence[Act[Any]]) -> list[Any]:
        try:
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
            try:
                results = [_attempt(connection, act) for act in acts]
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except (sqlite3.Error, OSError) as error:
            return [Fault(f"the ledger is not writable: {error}") for _ in acts]
        return results

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            connection.row_factory = sqlite3.Row
            _write_ahead(connection)
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
            self._connection = connection
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch the file to WAL. Unlike all else this does not wait while another process does the same."""
    for attempt in range(OPENING_ATTEMPTS):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if attempt == OPENING_ATTEMPTS - 1:
                raise
            time.sleep(OPENING_PAUSE_S)
        else:
            return


def _attempt(connection: sqlite3.Connection, act: Act[Any]) -> Any:
    """What the act returns, or the exception that undid it and nothing else."""
    connection.execute("SAVEPOINT act")
    try:
        return act(connection)
    except Exception as error:
        connection.execute("ROLLBACK TO act")
        return error
    finally:
        connection.execute("RELEASE act")


def charge(
    connection: sqlite3.Connection, *, key: str, token: str, amount: Money, capture: bool, fate: Fate, now: int
) -> Answer:
    """Open a charge, or tell what became of the one with this key. Raises ProviderKeyConflict."""
    request = hashlib.blake2b(msgspec.json.encode([token, amount, capture]), digest_size=16).hexdigest()
    if (known := _find(connection, key, now)) is not None:
        if known["request"] not in (request, _REFUSED):
            raise ProviderKeyConflict(f"the key {key} stands for another charge")
        return _answer(known)
    ripens_at = None if fate.ripens_after is None else now + fate.ripens_after
    values = (key, request, amount.amount, amount.currency, capture, fate.reason, fate.webhooks, ripens_at)
    connection.execute(
        "INSERT INTO charges (key, request, amount, currency, captures, state, reason, webhooks, ripens_at)"
        " VALUES (?, ?, ?, ?, ?, 'pending', ?, ?, ?)",
        values,
    )
    if fate.is_declined:
        _set_state(connection, key, "declined")
    elif ripens_at is None:
        _ripen(connection, _row(connection, key), now)
    return _answer(_row(connection, key))


def find(connection: sqlite3.Connection, *, key: str, now: int) -> Answer | None:
    known = _find(connection, key, now)
    return None if known is None else _answer(known)


def capture(connection: sqlite3.Connection, *, key: str, now: int) -> Answer:
    known = _find(connection, key, now)
    if known is None:
        raise Fault(f"there is no charge {key} to capture")
    if known["state"] == "authorized":
        _take(connection, known, now)
    return _answer(_row(connection, key))


def void(connection: sqlite3.Connection, *, key: str, now: int) -> Answer:
    """Let go what is held, and refuse what has not arrived. What is being processed can no longer be stopped."""
    known = _find(connection, key, now)
    if known is None:
        connection.execute(
            "INSERT INTO charges (key, request, amount, currency, captures, state, reason, webhooks)"
            " VALUES (?, ?, 0, '', 0, 'voided', '', 0)",
            (key, _REFUSED),
        )
    elif known["state"] == "authorized":
        _set_state(connection, key, "voided")
        _note(connection, known, "voided", known["amount"], now)
    return _answer(_row(connection, key))


def refund(connection: sqlite3.Connection, *, key: str, reference: str, amount: Money, now: int) -> RefundAnswer:
    """Give back at once, or decline for good under this key. Raises ProviderKeyConflict."""
    charged = connection.execute("SELECT * FROM charges WHERE number = ?", (_number(reference),)).fetchone()
    if charged is None:
        raise Fault(f"there is no charge {reference} to refund")
    asked = (charged["number"], amount.amount, amount.currency)
    known = connection.execute("SELECT * FROM refunds WHERE key = ?", (key,)).fetchone()
    if known is None:
        left = charged["captured"] - charged["refunded"]
        fits = amount.currency == charged["currency"] and 0 < amount.amount <= left
        state, reason = ("refunded", "") if fits else ("declined", "more than is left of the charge")
        connection.execute(
            "INSERT INTO refunds (charge, amount, currency, key, state, reason) VALUES (?, ?, ?, ?, ?, ?)",
            (*asked, key, state, reason),
        )
        if fits:
            connection.execute("UPDATE charges SET refunded = refunded + ? WHERE number = ?", (asked[1], asked[0]))
            _note(connection, charged, "refunded", amount.amount, now)
        known = connection.execute("SELECT * FROM refunds WHERE key = ?", (key,)).fetchone()
    if (known["charge"], known["amount"], known["currency"]) != asked:
        raise ProviderKeyConflict(f"the key {key} stands for another refund")
    return RefundAnswer(state=known["state"], reference=f"refund-{known['number']}", reason=known["reason"])


def due(connection: sqlite3.Connection, *, now: int) -> list[Delivery]:
    """Let ripen what is ripe, and take some webhooks to send; nobody else takes them for a while."""
    for row in connection.execute("SELECT * FROM charges WHERE ripens_at <= ? ORDER BY ripens_at", (now,)).fetchall():
        _ripen(connection, row, now)
    rows = connection.execute(
        "SELECT number, id, body FROM deliveries WHERE due_at <= ? ORDER BY due_at, number LIMIT ?",
        (now, LARGEST_DELIVERY),
    ).fetchall()
    for row in rows:
        connection.execute("UPDATE deliveries SET due_at = ? WHERE number = ?", (now + CLAIMED_FOR, row["number"]))
    return [Delivery(number=row["number"], id=row["id"], body=row["body"]) for row in rows]


def delivered(connection: sqlite3.Connection, *, number: int, now: int) -> None:
    """One copy was acknowledged; a further one is due at once."""
    connection.execute(
        "UPDATE deliveries SET copies = copies - 1, due_at = CASE WHEN copies > 1 THEN ? END WHERE number = ?",
        (now, number),
    )


def undelivered(connection: sqlite3.Connection, *, number: int, now: int) -> None:
    """Try again later, or give up."""
    attempts = connection.execute("SELECT attempts FROM deliveries WHERE number = ?", (number,)).fetchone()[0]
    due_at = now + RETRIES[attempts] if attempts < len(RETRIES) else None
    connection.execute("UPDATE deliveries SET attempts = attempts + 1, due_at = ? WHERE number = ?", (due_at, number))


def entries(connection: sqlite3.Connection) -> list[Entry]:
    return [
        Entry(
            key=row["key"],
            kind=row["kind"],
            amount=Money(row["amount"], row["currency"]),
            made_at=row["made_at"],
        )
        for row in connection.execute("SELECT * FROM entries ORDER BY number")
    ]


def _find(connection: sqlite3.Connection, key: str, now: int) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute("SELECT * FROM charges WHERE key = ?", (key,)).fetchone()
    if row is not None and row["ripens_at"] is not None and row["ripens_at"] <= now:
        _ripen(connection, row, now)
        return _row(connection, key)
    return row


def _row(connection: sqlite3.Connection, key: str) -> sqlite3.Row:
    row: sqlite3.Row = connection.execute("SELECT * FROM charges WHERE key = ?", (key,)).fetchone()
    return row


def _ripen(connection: sqlite3.Connection, row: sqlite3.Row, now: int) -> None:
    """Take or hold the money of a charge that was being processed, and write the webhook that tells of it."""
    if row["captures"]:
        _take(connection, row, now)
    else:
        _set_state(connection, row["key"], "authorized")
        _note(connection, row, "authorized", row["amount"], now)
    if row["webhooks"]:
        answer = _answer(_row(connection, row["key"]))
        body = msgspec.json.encode(Message(type=f"payment.{answer.state}", key=row["key"], answer=answer))
        connection.execute(
            "INSERT INTO deliveries (id, body, copies, due_at) VALUES (?, ?, ?, ?)",
            # The time in it, so that the ids of a ledger begun anew are new ones.
            (f"msg-{row['number']}-{now}", body, row["webhooks"], now),
        )


def _take(connection: sqlite3.Connection, row: sqlite3.Row, now: int) -> None:
    connection.execute("UPDATE charges SET captured = amount WHERE number = ?", (row["number"],))
    _set_state(connection, row["key"], "captured")
    _note(connection, row, "captured", row["amount"], now)


def _set_state(connection: sqlite3.Connection, key: str, state: str) -> None:
    connection.execute("UPDATE charges SET state = ?, ripens_at = NULL WHERE key = ?", (state, key))


def _note(connection: sqlite3.Connection, row: sqlite3.Row, kind: str, amount: int, now: int) -> None:
    connection.execute(
        "INSERT INTO entries (key, kind, amount, currency, made_at) VALUES (?, ?, ?, ?, ?)",
        (row["key"], kind, amount, row["currency"], now),
    )


def _answer(row: sqlite3.Row) -> Answer:
    return Answer(state=row["state"], reference=f"charge-{row['number']}", reason=row["reason"])


def _number(reference: str) -> int:
    _, _, number = reference.partition("-")
    return int(number) if number.isdigit() else 0
