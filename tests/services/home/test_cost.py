"""Neither reading the page nor hearing news costs more in a shop of many products: no statement looks at all rows."""

import re
from collections.abc import Sequence
from typing import Any

import pytest

from hansa.platform.database import sqlite
from hansa.platform.database.port import Row
from hansa.platform.database.statement import SQLITE, Statement
from hansa.services.home.tables import METADATA
from tests.services.home.window_shop import Window, category, image

MOST_STATEMENTS = 6
"""Of one reading of the page."""
_WHOLE = re.compile(r"SCAN (\w+)|SEARCH (?!categories)(\w+) USING .*\(slot=\?\)$")
"""All rows, or all of a slot: the page's has a row or more for each product. Of categories there are few."""
_OWN = {table.name for table in METADATA.tables.values()}


class Watched:
    """Notes every statement on SQLite, and the tables that its plan goes through from end to end."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.whole: list[str] = []

    def see(self, connection: Any, statement: Statement, parameters: dict[str, Any]) -> Sequence[Row]:
        text, values = statement.bind(SQLITE, parameters)
        self.statements.append(text)
        for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {text}", values).fetchall():
            if (through := _WHOLE.match(step)) and (through[1] or through[2]) in _OWN:
                self.whole.append(f"{step}: {text}")
        return _execute(connection, statement, parameters)


_execute = sqlite.execute


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    seen = Watched()
    monkeypatch.setattr(sqlite, "execute", seen.see)
    return seen


async def filled(window: Window) -> list[str]:
    records = [
        window.record(
            f"p-{number}", category=category(f"c-{number % 3}/d-{number % 5}"), images=(image(f"p-{number}"),)
        )
        for number in range(40)
    ]
    await window.hear(*(window.put(record) for record in records))
    await window.hear(window.placed({record.id: 1 for record in records}))
    return [record.id for record in records]


async def test_reading_takes_a_few_statements_by_their_indexes(small_window: Window, watched: Watched):
    await filled(small_window)
    watched.statements.clear()
    watched.whole.clear()

    front = await small_window.page()

    assert len(front.new) == len(front.best_sellers) == 12
    assert len(watched.statements) <= MOST_STATEMENTS
    assert watched.whole == []


async def test_hearing_news_looks_up_only_what_they_are_about(small_window: Window, watched: Watched):
    window = small_window
    ids = await filled(window)
    order = window.ids.new(slot=5)
    news = [
        window.put(window.record("p-3", product_id=ids[3], version=2, category=category("x/y"))),
        window.available(ids[4], "P-4", False, version=2),
        window.placed({ids[5]: 2}, order_id=order),
        window.cancelled(order),
    ]
    watched.statements.clear()
    watched.whole.clear()

    for envelope in news:
        await window.hear(envelope)

    assert watched.statements
    assert watched.whole == []


async def test_a_statement_that_looks_at_all_rows_would_be_noticed(small_window: Window, watched: Watched):
    await small_window.home.rebuild(key="k")

    assert any("cards" in line for line in watched.whole)


async def test_news_cost_as_many_statements_in_a_batch_as_alone(small_window: Window, watched: Watched):
    window = small_window
    spent = []
    for number in (1, 30):
        records = [window.record(f"{number}-{each}", category=category("hats")) for each in range(number)]
        before = len(watched.statements)
        await window.hear(*(window.put(record) for record in records))
        spent.append(len(watched.statements) - before)

    assert spent[0] == spent[1] <= 13
