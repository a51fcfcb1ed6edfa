"""Many at once: nobody gets what is not there, and a key or a name has one winner."""

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest

from hansa.platform.database.idempotency import (
    CommandInFlight,
    IdempotencyKeyReused,
    claim,
    claim_each,
    decode,
    digest,
    keep,
    keep_each,
)
from hansa.platform.database.port import Database
from tests.platform.database.things import CLAIM_NAME, TAKE, add, available

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Receipt(msgspec.Struct, frozen=True):
    """What the command answers."""

    left: int


async def test_a_hundred_take_one_of_fifty_and_fifty_win(database: Database) -> None:
    await add(database, (7, "hat", 50))

    async def take() -> bool:
        async with database.write(7) as tx:
            won = await tx.all(TAKE, lines=[(7, "hat", 1)])
            await asyncio.sleep(0)
            return bool(won)

    won = await asyncio.gather(*(take() for _ in range(100)))
    assert sum(won) == 50
    assert await available(database, sku="hat") == 0


async def test_a_name_has_one_owner_whoever_asks_at_once(database: Database) -> None:
    async def claim_name(owner_id: int) -> int | None:
        async with database.write(7) as tx:
            row = await tx.one(CLAIM_NAME, slot=7, name="ada@example.org", owner_id=owner_id)
            await asyncio.sleep(0)
            return row["owner_id"] if row else None

    owners = [
        owner for owner in await asyncio.gather(*(claim_name(number) for number in range(20))) if owner is not None
    ]
    assert len(owners) == 1


async def take_once(database: Database, *, key: str, quantity: int = 1, pause_s: float = 0.0) -> Receipt:
    """A command as services write them."""
    async with database.write(7) as tx:
        kept = await claim(tx, slot=7, key=key, request=digest("hat", quantity), now=NOW)
        if kept is not None:
            return decode(kept, Receipt)
        [row] = await tx.all(TAKE, lines=[(7, "hat", quantity)])
        await asyncio.sleep(pause_s)
        receipt = Receipt(left=row["available"])
        await keep(tx, slot=7, key=key, answer=receipt)
    return receipt


async def test_a_repeated_command_acts_once_and_answers_the_same(database: Database) -> None:
    await add(database, (7, "hat", 50))
    first = await take_once(database, key="a")
    await take_once(database, key="b")
    assert await take_once(database, key="a") == first == Receipt(left=49)
    assert await available(database, sku="hat") == 48


async def test_a_concurrent_repeat_waits_and_gets_the_kept_answer(database: Database) -> None:
    await add(database, (7, "hat", 50))
    answers = await asyncio.gather(*(take_once(database, key="a", pause_s=0.1) for _ in range(5)))
    assert set(answers) == {Receipt(left=49)}
    assert await available(database, sku="hat") == 49


async def test_when_the_first_gives_up_the_waiting_one_acts(database: Database) -> None:
    await add(database, (7, "hat", 50))
    first = asyncio.create_task(take_once(database, key="a", pause_s=10))
    await asyncio.sleep(0.1)
    second = asyncio.create_task(take_once(database, key="a"))
    await asyncio.sleep(0.1)
    assert not second.done()
    first.cancel()
    assert await second == Receipt(left=49)
    assert await available(database, sku="hat") == 49


async def test_a_key_used_for_something_else_is_refused(database: Database) -> None:
    await add(database, (7, "hat", 50))
    await take_once(database, key="a", quantity=1)
    with pytest.raises(IdempotencyKeyReused):
        await take_once(database, key="a", quantity=2)
    assert await available(database, sku="hat") == 49


async def test_a_key_without_an_answer_yet_is_in_flight(database: Database) -> None:
    async with database.write(7) as tx:
        assert await claim(tx, slot=7, key="a", request=digest("hat"), now=NOW) is None
    async with database.write(7) as tx:
        with pytest.raises(CommandInFlight):
            await claim(tx, slot=7, key="a", request=digest("hat"), now=NOW)


async def test_the_first_answer_stays(database: Database) -> None:
    async with database.write(7) as tx:
        await claim(tx, slot=7, key="a", request=digest("hat"), now=NOW)
        await keep(tx, slot=7, key="a", answer=Receipt(left=1))
        await keep(tx, slot=7, key="a", answer=Receipt(left=2))
        kept = await claim(tx, slot=7, key="a", request=digest("hat"), now=NOW)
        assert kept is not None
        assert decode(kept, Receipt) == Receipt(left=1)


async def take_each_once(database: Database, *keys: str) -> list[str]:
    """A command that acts for those of its keys that were not acted for, and says what came of all."""
    async with database.write(7) as tx:
        kept = await claim_each(tx, names=[(7, key) for key in keys], now=NOW)
        new = [key for key in keys if kept[key] is None]
        await asyncio.sleep(0)
        await tx.all(TAKE, lines=[(7, "hat", len(new))])
        await keep_each(tx, answers={(7, key): f"{keys[0]} for {key}" for key in new})
    return [f"{keys[0]} for {key}" if answer is None else decode(answer, str) for key, answer in kept.items()]


async def test_keys_of_a_set_are_claimed_one_by_one(database: Database) -> None:
    await add(database, (7, "hat", 50))
    assert await take_each_once(database, "a", "b") == ["a for a", "a for b"]
    assert await take_each_once(database, "c", "b") == ["c for c", "a for b"]
    assert await take_each_once(database) == []
    assert await available(database, sku="hat") == 47


async def test_sets_of_keys_that_cross_at_once_act_once_for_each(database: Database) -> None:
    await add(database, (7, "hat", 50))
    keys = [f"key-{number}" for number in range(20)]
    groups = [keys, keys[::-1], keys[5:] + keys[:5], keys[::2], keys[10:]]
    answers = await asyncio.gather(*(take_each_once(database, *group) for group in groups))
    assert await available(database, sku="hat") == 30
    said = [dict(zip(group, answer, strict=True)) for group, answer in zip(groups, answers, strict=True)]
    assert all(len({answer[key] for answer in said if key in answer}) == 1 for key in keys)
