"""Statements: one text for each engine, values in its order, and a set as one parameter."""

import json

import pytest
from sqlalchemy import bindparam, select, update

from hansa.platform.database.statement import MOST_VALUES, POSTGRESQL, SQLITE, Statement, rows_parameter
from hansa.platform.database.tables import COUNT, TEXT
from tests.platform.database.things import ADD, GET, STOCK

ENGINES = [SQLITE, POSTGRESQL]


def test_values_come_in_the_order_of_the_text() -> None:
    text, values = GET.bind(SQLITE, {"sku": "hat", "slot": 7})
    assert text.count("?") == 2
    assert values == [7, "hat"]
    text, values = GET.bind(POSTGRESQL, {"sku": "hat", "slot": 7})
    assert "$1" in text
    assert "$2" in text
    assert values == [7, "hat"]


def test_a_set_is_values_on_sqlite_of_the_next_power_of_two_of_rows() -> None:
    text, values = ADD.bind(SQLITE, {"lines": [(7, "hat", 3), (9, "shoe", 2), (9, "sock", 1)]})
    assert "(VALUES (?,?,?),(?,?,?),(?,?,?),(?,?,?)) LIMIT ?" in text
    assert values == [7, "hat", 3, 9, "shoe", 2, 9, "sock", 1, None, None, None, 3]


def test_a_large_set_is_one_json_text_on_sqlite() -> None:
    lines = [(7, f'h"{number}', number) for number in range(MOST_VALUES)]
    text, values = ADD.bind(SQLITE, {"lines": lines})
    assert text.count("?") == 1
    assert [json.loads(value) for value in values] == [[list(line) for line in lines]]


def test_a_set_is_one_array_per_column_on_postgresql() -> None:
    text, values = ADD.bind(POSTGRESQL, {"lines": [(7, "hat", 3), (9, "shoe", 2)]})
    assert "unnest($1::INTEGER[], $2::TEXT[], $3::BIGINT[])" in text
    assert values == [(7, 9), ("hat", "shoe"), (3, 2)]


def test_the_texts_are_few_whatever_the_number_of_rows() -> None:
    def texts(engine: str) -> int:
        return len({ADD.bind(engine, {"lines": [(7, "hat", 3)] * number})[0] for number in range(2000)})

    assert texts(POSTGRESQL) == 1
    assert texts(SQLITE) == 12, "none, 1, 2, 4, … 512, and those that are JSON"
    assert ADD.bind(POSTGRESQL, {"lines": []})[1] == [(), (), ()]


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_of_another_width_are_refused(engine: str) -> None:
    with pytest.raises(ValueError, match=r"argument|expected"):
        ADD.bind(engine, {"lines": [(7, "hat")]})


def test_a_set_of_single_values_needs_no_tuples() -> None:
    skus = rows_parameter("skus", sku=TEXT)
    statement = Statement(select(STOCK.c.sku).where(STOCK.c.sku.in_(select(skus.c.sku))))
    assert statement.bind(POSTGRESQL, {"skus": ["hat", "shoe"]})[1] == [["hat", "shoe"]]
    assert statement.bind(SQLITE, {"skus": ["hat", "shoe"]})[1] == ["hat", "shoe", 2]


@pytest.mark.parametrize("engine", ENGINES)
def test_values_that_the_clause_holds_need_not_be_given(engine: str) -> None:
    statement = Statement(select(STOCK.c.sku).where(STOCK.c.sku == "hat", STOCK.c.slot == bindparam("slot")))
    assert statement.bind(engine, {"slot": 7})[1] == ["hat", 7]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_null_may_be_such_a_value(engine: str) -> None:
    statement = Statement(update(STOCK).where(STOCK.c.sku == bindparam("of_sku")).values(note=None))
    assert statement.bind(engine, {"of_sku": "hat"})[1] == [None, "hat"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_list_that_the_clause_holds_is_spread(engine: str) -> None:
    statement = Statement(select(STOCK.c.sku).where(STOCK.c.slot.in_([7, 9])))
    assert statement.bind(engine, {})[1] == [7, 9]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_missing_value_and_a_missing_set_are_named(engine: str) -> None:
    with pytest.raises(KeyError, match="sku"):
        GET.bind(engine, {"slot": 7})
    with pytest.raises(KeyError, match="lines"):
        ADD.bind(engine, {})


@pytest.mark.parametrize("engine", ENGINES)
def test_names_that_mean_something_in_sql_are_quoted(engine: str) -> None:
    rows = rows_parameter("order", key=TEXT, limit=COUNT)
    text, _ = Statement(select(rows.c.key, rows.c.limit)).bind(engine, {"order": [("a", 1)]})
    assert 'AS "order"' in text
    assert '"limit"' in text
