"""Commands that may arrive twice: the first answer is kept in the same commit as the effect, and replayed.

::

    async with self._database.write(slot) as tx:
        if (kept := await claim(tx, slot=slot, key=key, request=digest(order_id, lines), now=now)) is not None:
            return decode(kept, Refund)
        ...
        await keep(tx, slot=slot, key=key, answer=refund)
"""

import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from hansa.kernel.clock import to_micros
from hansa.kernel.errors import CommandInFlight as CommandInFlight
from hansa.kernel.errors import IdempotencyKeyReused as IdempotencyKeyReused
from hansa.platform.database import platform_tables
from hansa.platform.database.port import Transaction

T = TypeVar("T")
Name = tuple[int, str]
"""A slot, and a key in it."""


def digest(*request: Any) -> str:
    """A hash of what was asked, to recognise a key that is used again for something else."""
    return hashlib.blake2b(msgspec.json.encode(request, order="deterministic"), digest_size=16).hexdigest()


async def claim(tx: Transaction, *, slot: int, key: str, request: str, now: datetime) -> str | None:
    """Take a key within the transaction that acts: None for the first time, else the kept answer.

    A concurrent transaction with the same key waits here until the first has committed. Raises
    IdempotencyKeyReused if the key stands for another request, CommandInFlight if no answer was kept yet.
    """
    if await tx.one(platform_tables.CLAIM_COMMAND, slot=slot, key=key, request=request, now=to_micros(now)):
        return None
    row = await tx.one(platform_tables.GET_COMMAND, slot=slot, key=key)
    if row is None or (row["answer"] is None and row["request"] == request):
        raise CommandInFlight()
    if row["request"] != request:
        raise IdempotencyKeyReused()
    answer: str = row["answer"]
    return answer


async def keep(tx: Transaction, *, slot: int, key: str, answer: Any) -> None:
    """Keep the first answer; a later one does not replace it."""
    await tx.run(platform_tables.KEEP_ANSWER, of_slot=slot, of_key=key, kept=msgspec.json.encode(answer).decode())


async def claim_each(tx: Transaction, *, names: Collection[Name], now: datetime) -> dict[str, str | None]:
    """Take many keys, no two alike, for an act on each of many things: per key None for the first time, else the kept
    answer. Keep one for every None, in the same transaction.

    A key here stands for a thing and not for a request, which is not compared; it is remembered from its last claim
    on. Concurrent transactions with some of the keys wait here for each other.
    """
    rows = await tx.all(platform_tables.CLAIM_COMMANDS, names=list(names), request="", now=to_micros(now))
    kept: dict[str, str | None] = {row["key"]: row["answer"] for row in rows}
    return {key: kept[key] for _, key in names}


async def keep_each(tx: Transaction, *, answers: Mapping[Name, Any]) -> None:
    """Keep the first answers of claimed keys."""
    rows = [(*name, msgspec.json.encode(answer).decode()) for name, answer in answers.items()]
    await tx.run(platform_tables.KEEP_ANSWERS, answers=rows)


def decode(answer: str, type_: type[T]) -> T:
    return msgspec.json.decode(answer, type=type_)
