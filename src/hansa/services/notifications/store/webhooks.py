"""Every statement on webhooks. All of them lie in one slot: there are at most 50."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import bindparam, case, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from hansa.kernel.clock import from_micros, to_micros
from hansa.kernel.ids import slot_of_value
from hansa.platform.database.port import Database, Reader, Row, Transaction
from hansa.platform.database.statement import Statement
from hansa.platform.database.tables import MOMENT, TEXT
from hansa.services.notifications.contract import MOST_WEBHOOKS
from hansa.services.notifications.tables import WEBHOOKS

SLOT = slot_of_value("notifications.webhooks")


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook as it is kept: both secrets sealed, the old one good until `old_until`."""

    id: str
    url: str
    types: tuple[str, ...]
    description: str
    state: str
    reason: str
    secret: str
    old_secret: str
    old_until: datetime | None
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int


_ONE = (WEBHOOKS.c.slot == SLOT, WEBHOOKS.c.webhook_id == bindparam("of_webhook"))
_ALIVE = WEBHOOKS.c.state != "deleted"
ADD = Statement(
    insert(WEBHOOKS)
    .values({name: bindparam(name) for name in WEBHOOKS.c.keys()})
    .on_conflict_do_nothing(index_elements=["slot", "place"])
    .returning(WEBHOOKS.c.webhook_id)
)
LIST = Statement(select(WEBHOOKS).where(WEBHOOKS.c.slot == SLOT, _ALIVE).order_by(WEBHOOKS.c.webhook_id))
FIND = Statement(select(WEBHOOKS).where(*_ONE, _ALIVE))
_CHANGED = ("url", "types", "description", "state", "reason")
CHANGE = Statement(
    update(WEBHOOKS)
    .where(*_ONE, _ALIVE, WEBHOOKS.c.version == bindparam("since"))
    .values(
        {
            **{name: bindparam(f"new_{name}", type_=WEBHOOKS.c[name].type) for name in _CHANGED},
            "updated_at": bindparam("now", type_=MOMENT),
            "version": WEBHOOKS.c.version + 1,
        }
    )
    .returning(WEBHOOKS.c.webhook_id)
)
ROTATE = Statement(
    update(WEBHOOKS)
    .where(*_ONE, _ALIVE)
    .values(
        secret=bindparam("new_secret", type_=TEXT),
        old_secret=WEBHOOKS.c.secret,
        old_until=bindparam("until", type_=MOMENT),
        updated_at=bindparam("now", type_=MOMENT),
        version=WEBHOOKS.c.version + 1,
    )
    .returning(*WEBHOOKS.c)
)
DELETE = Statement(
    update(WEBHOOKS)
    .where(*_ONE, _ALIVE)
    .values(
        state="deleted",
        place=None,
        secret="",
        old_secret="",
        old_until=None,
        updated_at=bindparam("now", type_=MOMENT),
        version=WEBHOOKS.c.version + 1,
    )
    .returning(WEBHOOKS.c.webhook_id)
)
_STOP = (
    update(WEBHOOKS)
    .where(*_ONE, WEBHOOKS.c.state == "active")
    .values(
        state=bindparam("new_state", type_=TEXT),
        reason=bindparam("new_reason", type_=TEXT),
        updated_at=bindparam("now", type_=MOMENT),
        version=WEBHOOKS.c.version + 1,
    )
    .returning(WEBHOOKS.c.webhook_id)
)
STOP = Statement(_STOP)
STOP_FAILING = Statement(_STOP.where(WEBHOOKS.c.failing_since <= bindparam("given_up_since", type_=MOMENT)))
_goes_on = WEBHOOKS.c.failing_since.is_not(None) & (WEBHOOKS.c.failed_at > bindparam("silent_since", type_=MOMENT))
FAILING = Statement(
    update(WEBHOOKS)
    .where(*_ONE)
    .values(
        failing_since=case((_goes_on, WEBHOOKS.c.failing_since), else_=bindparam("now", type_=MOMENT)),
        failed_at=bindparam("now", type_=MOMENT),
    )
)
RECOVERED = Statement(update(WEBHOOKS).where(*_ONE, WEBHOOKS.c.failing_since.is_not(None)).values(failing_since=None))
REPLAYED = Statement(
    update(WEBHOOKS)
    .where(*_ONE, (WEBHOOKS.c.replayed_at.is_(None)) | (WEBHOOKS.c.replayed_at <= bindparam("before", type_=MOMENT)))
    .values(replayed_at=bindparam("now", type_=MOMENT))
    .returning(WEBHOOKS.c.webhook_id)
)
LAST_REPLAY = Statement(select(WEBHOOKS.c.replayed_at).where(*_ONE))
PLACES = Statement(select(WEBHOOKS.c.place).where(WEBHOOKS.c.slot == SLOT, WEBHOOKS.c.place.is_not(None)))
SILENT = Statement(
    select(WEBHOOKS.c.webhook_id).where(
        WEBHOOKS.c.slot == SLOT, (WEBHOOKS.c.state == "gone") | (WEBHOOKS.c.state == "deleted")
    )
)
FORGET = Statement(
    delete(WEBHOOKS).where(
        WEBHOOKS.c.slot == SLOT, WEBHOOKS.c.state == "deleted", WEBHOOKS.c.updated_at < bindparam("before")
    )
)


async def add(tx: Transaction, hook: Hook) -> bool:
    """Give a webhook a place; False if there is none left."""
    for _ in range(MOST_WEBHOOKS):
        taken = {row["place"] for row in await tx.all(PLACES)}
        free = next((place for place in range(MOST_WEBHOOKS) if place not in taken), None)
        if free is None:
            return False
        # Of two who want the same place the second finds it taken, once the first has committed.
        kept = {"slot": SLOT, "webhook_id": int(hook.id), "place": free, "failed_at": None, "replayed_at": None}
        if await tx.one(ADD, **kept, **_values(hook)):
            return True
    return False


async def every(reader: Reader | Database) -> list[Hook]:
    """All but the deleted ones, the oldest first."""
    return [_hook(row) for row in await reader.all(LIST)]


async def find(reader: Reader | Database, *, webhook_id: str) -> Hook | None:
    row = await reader.one(FIND, of_webhook=int(webhook_id))
    return None if row is None else _hook(row)


async def change(tx: Transaction, hook: Hook) -> bool:
    """Write what staff has changed of a webhook that was read at its version; False if it has another by now."""
    values = _values(hook)
    new = {f"new_{name}": values[name] for name in _CHANGED}
    row = await tx.one(CHANGE, of_webhook=int(hook.id), since=hook.version, now=to_micros(hook.updated_at), **new)
    return row is not None


async def rotate(tx: Transaction, *, webhook_id: str, secret: str, until: datetime, at: datetime) -> Hook | None:
    """Put a sealed secret in the place of the present one, which is good `until` then; None if there is no webhook."""
    row = await tx.one(ROTATE, of_webhook=int(webhook_id), new_secret=secret, until=to_micros(until), now=to_micros(at))
    return None if row is None else _hook(row)


async def delete_one(tx: Transaction, *, webhook_id: str, at: datetime) -> bool:
    """Whether it was there."""
    return await tx.one(DELETE, of_webhook=int(webhook_id), now=to_micros(at)) is not None


async def stop(tx: Transaction, *, webhook_id: str, state: str, reason: str, at: datetime) -> bool:
    """Whether it was active before."""
    row = await tx.one(STOP, of_webhook=int(webhook_id), new_state=state, new_reason=reason, now=to_micros(at))
    return row is not None


async def stop_failing(tx: Transaction, *, webhook_id: str, reason: str, since: datetime, at: datetime) -> bool:
    """Whether it was active and has been failing since then or longer, as it stands now."""
    row = await tx.one(
        STOP_FAILING,
        of_webhook=int(webhook_id),
        new_state="failing",
        new_reason=reason,
        given_up_since=to_micros(since),
        now=to_micros(at),
    )
    return row is not None


async def failing(tx: Transaction, *, webhook_id: str, silent_since: datetime, at: datetime) -> None:
    """Note a failure: the first since something last arrived, or since nothing was tried from `silent_since` on."""
    await tx.run(FAILING, of_webhook=int(webhook_id), silent_since=to_micros(silent_since), now=to_micros(at))


async def recovered(tx: Transaction, *, webhook_id: str) -> None:
    await tx.run(RECOVERED, of_webhook=int(webhook_id))


async def replayed(tx: Transaction, *, webhook_id: str, at: datetime, before: datetime) -> datetime | None:
    """Note that all that failed is replayed, unless it was after `before`: then when that was."""
    if await tx.one(REPLAYED, of_webhook=int(webhook_id), now=to_micros(at), before=to_micros(before)):
        return None
    row = await tx.one(LAST_REPLAY, of_webhook=int(webhook_id))
    return from_micros(row["replayed_at"]) if row is not None and row["replayed_at"] is not None else at


async def silent(database: Database) -> list[str]:
    """Those that are told nothing any more, gone or deleted."""
    return [str(row["webhook_id"]) for row in await database.all(SILENT)]


async def forget(tx: Transaction, *, before: datetime) -> None:
    await tx.run(FORGET, before=to_micros(before))


def _values(hook: Hook) -> Mapping[str, Any]:
    return {
        "url": hook.url,
        "types": msgspec.json.encode(hook.types).decode(),
        "description": hook.description,
        "state": hook.state,
        "reason": hook.reason,
        "secret": hook.secret,
        "old_secret": hook.old_secret,
        "old_until": to_micros(hook.old_until) if hook.old_until else None,
        "failing_since": to_micros(hook.failing_since) if hook.failing_since else None,
        "created_at": to_micros(hook.created_at),
        "updated_at": to_micros(hook.updated_at),
        "version": hook.version,
    }


def _hook(row: Row) -> Hook:
    return Hook(
        id=str(row["webhook_id"]),
        url=row["url"],
        types=msgspec.json.decode(row["types"], type=tuple[str, ...]),
        description=row["description"],
        state=row["state"],
        reason=row["reason"],
        secret=row["secret"],
        old_secret=row["old_secret"],
        old_until=_moment(row["old_until"]),
        failing_since=_moment(row["failing_since"]),
        created_at=from_micros(row["created_at"]),
        updated_at=from_micros(row["updated_at"]),
        version=row["version"],
    )


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
