"""What a transaction keeps, and that it keeps all of it or nothing."""

import asyncio
from contextvars import Context

import pytest

from hansa.kernel.errors import Fault
from hansa.platform.database.port import (
    Database,
    RemoteCallInTransaction,
    TransactionBroken,
    forbid_open_transaction,
)
from tests.platform.database.things import ADD, FORGET_NOTE, GET, SET, SUM, add, available, skus


class Changed(Exception):
    """The caller changed its mind."""


async def test_what_is_written_is_there_after_the_block(database: Database) -> None:
    async with database.write(7, 9) as tx:
        await tx.run(ADD, lines=[(7, "hat", 3), (9, "shoe", 2)])
        row = await tx.one(GET, slot=9, sku="shoe")
        assert row is not None, "a transaction sees its own rows"
        assert row["available"] == 2
    assert await skus(database) == ["hat", "shoe"]


async def test_an_exception_takes_everything_back(database: Database) -> None:
    async def change() -> None:
        async with database.write(7) as tx:
            await tx.run(ADD, lines=[(7, "hat", 3)])
            raise Changed

    with pytest.raises(Changed):
        await change()
    assert await skus(database) == []
    await add(database, (7, "shoe", 1))
    assert await skus(database) == ["shoe"]


async def test_a_row_reads_by_name_and_by_position(database: Database) -> None:
    await add(database, (7, "hat", 3))
    row = await database.one(GET, slot=7, sku="hat")
    assert row is not None
    assert (row["slot"], row["sku"], row["available"], row["note"]) == (7, "hat", 3, None)
    assert (row[0], row[1], row[2]) == (7, "hat", 3)
    assert bool(row["is_listed"]) is True
    assert await database.one(GET, slot=8, sku="hat") is None


async def test_truth_values_and_nulls_can_be_set(database: Database) -> None:
    await add(database, (7, "hat", 3))
    async with database.write(7) as tx:
        await tx.run(SET, of_sku="hat", now=2**62, open=False)
        await tx.run(FORGET_NOTE, of_sku="hat")
    row = await database.one(GET, slot=7, sku="hat")
    assert row is not None
    assert row["available"] == 2**62
    assert bool(row["is_listed"]) is False


async def test_a_second_transaction_inside_the_first_is_refused(database: Database) -> None:
    async with database.write(7) as tx:
        with pytest.raises(RemoteCallInTransaction):
            async with database.write(7):
                pass
        with pytest.raises(RemoteCallInTransaction):
            async with database.read(7):
                pass
        with pytest.raises(RemoteCallInTransaction):
            await database.all(SUM)
        with pytest.raises(RemoteCallInTransaction):
            await database.one(SUM)
        await tx.run(ADD, lines=[(7, "hat", 3)])
    assert await skus(database) == ["hat"]


async def test_nothing_remote_may_be_awaited_inside_and_everything_outside(database: Database) -> None:
    async with database.write(7):
        with pytest.raises(RemoteCallInTransaction, match="asking payments while a transaction on things is open"):
            forbid_open_transaction("asking payments")
    async with database.read(7):
        with pytest.raises(RemoteCallInTransaction):
            forbid_open_transaction("asking payments")
    forbid_open_transaction("asking payments")
    with pytest.raises(Changed):
        async with database.write(7):
            raise Changed
    forbid_open_transaction("asking payments")


async def test_a_snapshot_does_not_change_while_others_write(database: Database) -> None:
    await add(database, (7, "hat", 3))
    async with database.read() as snapshot:
        before = await snapshot.one(SUM)
        # In a context of its own, as every other request is: a task of this one would count as inside the block.
        await asyncio.create_task(add(database, (9, "shoe", 2)), context=Context())
        after = await snapshot.one(SUM)
    assert before is not None
    assert after is not None
    assert (before["sum"], before["rows"]) == (after["sum"], after["rows"]) == (3, 1)
    now = await database.one(SUM)
    assert now is not None
    assert (now["sum"], now["rows"]) == (5, 2)


async def test_reading_doors_do_not_write(database: Database) -> None:
    with pytest.raises(Exception, match=r"(?i)read-?only"):
        await database.all(ADD, lines=[(7, "hat", 3)])
    with pytest.raises(Exception, match=r"(?i)read-?only"):
        async with database.read() as snapshot:
            await snapshot.all(ADD, lines=[(7, "hat", 3)])
    assert await skus(database) == []


async def test_after_a_failed_statement_nothing_commits_even_if_its_error_was_caught(database: Database) -> None:
    async def add_twice() -> None:
        async with database.write(7) as tx:
            await tx.run(ADD, lines=[(7, "hat", 3)])
            with pytest.raises(Exception, match=r"(?i)unique"):
                await tx.run(ADD, lines=[(7, "hat", 3)])

    with pytest.raises(TransactionBroken):
        await add_twice()
    assert await skus(database) == []


async def test_after_a_failed_statement_the_transaction_says_so(database: Database) -> None:
    async def go_on() -> None:
        async with database.write(7) as tx:
            with pytest.raises(Exception, match=r"(?i)check"):
                await tx.run(ADD, lines=[(7, "hat", -1)])
            with pytest.raises(TransactionBroken):
                await tx.run(ADD, lines=[(7, "shoe", 3)])

    with pytest.raises(TransactionBroken):
        await go_on()
    assert await skus(database) == []


async def test_a_forgotten_parameter_is_named_and_breaks_nothing(database: Database) -> None:
    async with database.write(7) as tx:
        with pytest.raises(KeyError, match="sku"):
            await tx.one(GET, slot=7)
        await tx.run(ADD, lines=[(7, "hat", 3)])
    assert await available(database, sku="hat") == 3


async def test_a_closed_database_says_so(database: Database) -> None:
    await database.close()
    with pytest.raises(Fault, match="closed"):
        async with database.write(7):
            pass
    with pytest.raises(Fault, match="closed"):
        await database.all(SUM)


async def test_giving_memory_back_waits_for_who_writes_and_takes_nothing_from_anybody(database: Database) -> None:
    await add(database, (7, "hat", 3))
    async with database.read(7) as reader:
        before = await reader.one(GET, slot=7, sku="hat")
        async with asyncio.timeout(10):
            await asyncio.create_task(database.give_back(), context=Context())
        assert await reader.one(GET, slot=7, sku="hat") == before
    async with database.write(7) as tx:
        await tx.run(ADD, lines=[(7, "shoe", 3)])
        giving = asyncio.create_task(database.give_back(), context=Context())
        await asyncio.sleep(0)
    await giving
    assert await skus(database) == ["hat", "shoe"]
