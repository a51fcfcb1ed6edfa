"""The sandbox provider's own books: a SQLite file that the shop never touches, with commits of its own."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from hansa.kernel.errors import Fault
from hansa.kernel.money import Money
from hansa.platform.providers.payments import Answer, ProviderKeyConflict, RefundAnswer
from hansa.platform.providers.sandbox_schema import SCHEMA
from hansa.platform.providers.sandbox_words import Charge, Delivery, Entry, Message

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

_KNOWN_KEYS = "SELECT key FROM charges WHERE key IN (SELECT value FROM json_each(?))"
_ADD_CHARGE = (
    "INSERT INTO charges (number, key, request, amount, currency, captures, state, reason, webhooks, captured)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?)"
)
_ADD_ENTRY = "INSERT INTO entries (key, kind, amount, currency, made_at) VALUES (?, ?, ?, ?, ?)"
_encoded = msgspec.json.Encoder().encode
_REFUSED = ""
"""The request of a charge that was voided before it arrived."""


class Charging(msgspec.Struct, frozen=True):
    """The act that is asked for most often: those that come in a row are written as one set."""

    charge: Charge

    def __call__(self, connection: sqlite3.Connection) -> Answer:
        return charge(connection, self.charge)


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
                results = _attempt_all(connection, acts)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except Exception as error:  # whatever it is, everybody who waits must hear of it
            return [Fault(f"the ledger is not writable: {error}") for _ in acts]
        return results

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            connection.row_factory = sqlite3.Row
            _write_ahead(connection)
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
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


def _attempt_all(connection: sqlite3.Connection, acts: Sequence[Act[Any]]) -> list[Any]:
    """What each act returns, or the exception that undid it; in their order, but charges in a row as one."""
    results: list[Any] = []
    for is_charge, group in groupby(acts, key=lambda act: isinstance(act, Charging)):
        some = list(group)
        together = None
        if is_charge and len(some) > 1:
            charges = [act.charge for act in some if isinstance(act, Charging)]
            together = _attempt(connection, partial(charge_all, charges=charges))
        results += together if isinstance(together, list) else [_attempt(connection, act) for act in some]
    return results


def charge_all(connection: sqlite3.Connection, *, charges: Sequence[Charge]) -> list[Answer | Exception]:
    """As `charge` for many: those that are new and done at once are written together, the others one by one."""
    keys = _encoded([each.key for each in charges]).decode()
    known = {key for (key,) in connection.execute(_KNOWN_KEYS, (keys,))}
    # Nothing is ever deleted, so the numbers go on from the last one.
    (number,) = connection.execute("SELECT coalesce(max(number), 0) FROM charges").fetchone()
    rows, notes = [], []
    answers: dict[int, Answer] = {}
    for place, each in enumerate(charges):
        is_new = each.key not in known
        known.add(each.key)
        if not is_new or not each.is_done_at_once:
            continue
        number += 1
        state, reason = each.first_state, each.fate.reason
        taken = each.amount.amount if state == "captured" else 0
        rows.append(
            (
                number,
                each.key,
                each.request,
                each.amount.amount,
                each.amount.currency,
                each.capture,
                state,
                reason,
                taken,
            )
        )
        if state != "declined":
            notes.append((each.key, state, each.amount.amount, each.amount.currency, each.now))
        answers[place] = Answer(state=state, reference=f"charge-{number}", reason=reason)
    connection.executemany(_ADD_CHARGE, rows)
    connection.executemany(_ADD_ENTRY, notes)
    return [answers.get(place) or _attempt(connection, Charging(each)) for place, each in enumerate(charges)]


def charge(connection: sqlite3.Connection, asked: Charge) -> Answer:
    """Open a charge, or tell what became of the one with this key. Raises ProviderKeyConflict."""
    key, amount, fate, now = asked.key, asked.amount, asked.fate, asked.now
    if (known := _find(connection, key, now)) is not None:
        if known["request"] not in (asked.request, _REFUSED):
            raise ProviderKeyConflict(f"the key {key} stands for another charge")
        return _answer(known)
    ripens_at = None if fate.ripens_after is None else now + fate.ripens_after
    connection.execute(
        "INSERT INTO charges (key, request, amount, currency, captures, state, reason, webhooks, ripens_at)"
        " VALUES (?, ?, ?, ?, ?, 'pending', ?, ?, ?)",
        (key, asked.request, amount.amount, amount.currency, asked.capture, fate.reason, fate.webhooks, ripens_at),
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
    rows = connection.execute("SELECT key, kind, amount, currency, made_at FROM entries ORDER BY number")
    return [
        Entry(key=key, kind=kind, amount=Money(amount, currency), made_at=made_at)
        for key, kind, amount, currency, made_at in rows
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
    connection.execute(_ADD_ENTRY, (row["key"], kind, amount, row["currency"], now))


def _answer(row: sqlite3.Row) -> Answer:
    return Answer(state=row["state"], reference=f"charge-{row['number']}", reason=row["reason"])


def _number(reference: str) -> int:
    _, _, number = reference.partition("-")
    return int(number) if number.isdigit() else 0
