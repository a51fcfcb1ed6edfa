"""Sets of rows as one parameter, and the statements of the platform's own tables, run on the engines."""

import pytest
from sqlalchemy import select

from hansa.platform.database import platform_tables
from hansa.platform.database.port import Database
from hansa.platform.database.rows import insert_rows, row_of
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import COUNT, FLAG, ID, SLOT, TEXT
from tests.platform.database.things import ADD, FIND, NAMED, STOCK, TAKE, add, available
from tests.platform.dead_letters import parked


async def test_a_set_updates_those_rows_that_have_enough_and_says_which(database: Database) -> None:
    await add(database, (7, "hat", 3), (9, "shoe", 2), (9, "sock", 5))
    async with database.write(7, 9) as tx:
        taken = await tx.all(TAKE, lines=[(7, "hat", 3), (9, "shoe", 3), (9, "sock", 1), (9, "ghost", 1)])
    assert sorted((row["sku"], row["available"]) for row in taken) == [("hat", 0), ("sock", 4)]
    assert await available(database, sku="shoe", slot=9) == 2


async def test_a_set_joins_a_table(database: Database) -> None:
    await add(database, (7, "hat", 3), (9, "shoe", 2))
    rows = await database.all(FIND, lines=[(9, "shoe", 20), (7, "hat", 30), (8, "hat", 99)])
    assert [(row["sku"], row["available"], row["quantity"]) for row in rows] == [("hat", 3, 30), ("shoe", 2, 20)]


async def test_a_set_may_be_single_values_and_empty(database: Database) -> None:
    await add(database, (7, "hat", 3), (9, "shoe", 2))
    assert [row["sku"] for row in await database.all(NAMED, skus=["shoe", "hat", "ghost"])] == ["hat", "shoe"]
    assert list(await database.all(NAMED, skus=[])) == []
    async with database.write() as tx:
        await tx.run(ADD, lines=[])


async def test_a_set_may_be_large(database: Database) -> None:
    await add(database, *((number % 4096, f"sku-{number}", number) for number in range(10_000)))
    assert len(await database.all(NAMED, skus=[f"sku-{number}" for number in range(10_000)])) == 10_000


TRICKY = ["", "'", '"', "\\", "$[0]", "null", "[1]", '{"a": "b"}', "Größe 42 ½", "日本語 🧢", "a\nb\t", "1e3", "007"]


async def test_texts_numbers_truth_values_and_nulls_survive_the_way(database: Database) -> None:
    rows = rows_parameter("rows", slot=SLOT, big=ID, text=TEXT, flag=FLAG, note=TEXT)
    echo = Statement(select(rows.c.slot, rows.c.big, rows.c.text, rows.c.flag, rows.c.note))
    given = [
        (0, -(2**63), "first", True, "note"),
        *((4095, 2**63 - 1, text, number % 2 == 0, None) for number, text in enumerate(TRICKY)),
    ]
    answer = await database.all(echo, rows=given)
    assert [(row[0], row[1], row[2], bool(row[3]), row[4]) for row in answer] == given


async def test_reserved_words_may_be_names(database: Database) -> None:
    rows = rows_parameter("order", key=TEXT, limit=COUNT)
    answer = await database.all(Statement(select(rows.c.key, rows.c.limit)), order=[("a", 1)])
    assert [(row["key"], row["limit"]) for row in answer] == [("a", 1)]


async def test_whole_rows_of_a_table_are_a_set_and_those_with_a_known_key_may_be_left_out(database: Database) -> None:
    put = Statement(insert_rows(STOCK).on_conflict_do_nothing().returning(STOCK.c.sku))
    hat = row_of(STOCK, sku="hat", slot=7, note=None, is_listed=True, available=3, colour="of no concern")
    shoe = row_of(STOCK, slot=9, sku="shoe", available=0, is_listed=False, note="Größe 42")
    async with database.write(7, 9) as tx:
        assert [row["sku"] for row in await tx.all(put, rows=[hat])] == ["hat"]
        assert [row["sku"] for row in await tx.all(put, rows=[hat, shoe])] == ["shoe"]
    rows = await database.all(Statement(select(STOCK).order_by(STOCK.c.slot)))
    assert [(row[0], row[1], row[2], bool(row[3]), row[4]) for row in rows] == [hat, shoe]
    with pytest.raises(KeyError):
        row_of(STOCK, slot=7, sku="hat")


EVENTS = [(7, 1, '{"n": 1}', 100), (7, 2, '{"n": 2}', 200), (9, 3, '{"n": 3}', 300)]


async def test_sent_events_leave_the_outbox_and_others_stay(database: Database) -> None:
    async with database.write(7, 9) as tx:
        await tx.run(platform_tables.ADD_EVENTS, rows=EVENTS)
    assert [row["event_id"] for row in await database.all(platform_tables.UNSENT_EVENTS, limit=2)] == [1, 2]
    async with database.write(7, 9) as tx:
        await tx.run(platform_tables.REMOVE_EVENTS, rows=[(7, 1), (9, 3), (9, 2)])
    left = await database.all(platform_tables.UNSENT_EVENTS, limit=10)
    assert [(row["event_id"], row["envelope"]) for row in left] == [(2, '{"n": 2}')]
    age = await database.one(platform_tables.OUTBOX_AGE)
    assert age is not None
    assert (age[0], age[1]) == (1, 200)


async def test_an_event_is_claimed_once_per_consumer(database: Database) -> None:
    async def claim(consumer: str, rows: list[tuple[int, int]], now: int) -> set[int]:
        async with database.write(7) as tx:
            answer = await tx.all(platform_tables.CLAIM_EVENTS, consumer=consumer, now=now, rows=rows)
            return {row["event_id"] for row in answer}

    assert await claim("search", [(7, 1), (7, 2)], now=100) == {1, 2}
    assert await claim("search", [(7, 2), (7, 3)], now=200) == {3}
    assert await claim("home", [(7, 2), (7, 3)], now=200) == {2, 3}
    async with database.write() as tx:
        await tx.run(platform_tables.FORGET_HANDLED, before=200)
    assert await claim("search", [(7, 1), (7, 2), (7, 3)], now=300) == {1, 2}


async def test_dead_letters_are_parked_once_and_counted(database: Database) -> None:
    letter = (7, 1, "search", "{}", "?", 5)
    async with database.write(7) as tx:
        await tx.run(platform_tables.PARK, letter=[(*letter, 100)])
        await tx.run(platform_tables.PARK, letter=[(*letter, 200)])
    assert [row["parked_at"] for row in await parked(database)] == [100]
    count = await database.one(platform_tables.COUNT_DEAD)
    assert count is not None
    assert count[0] == 1


async def test_a_check_holds_when_the_statement_forgets_to(database: Database) -> None:
    with pytest.raises(Exception, match=r"(?i)check"):
        await add(database, (7, "hat", -1))
