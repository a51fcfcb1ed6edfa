"""The audit finds what is planted, and nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, Table, create_engine, insert, update
from sqlalchemy.types import Boolean, Integer, LargeBinary

from bench.audit import Evidence, Order, audit, judge
from bench.books import SERVICES, Books, NotDrained, SqliteBooks, drained_at
from hansa.compose.stored import STORED

GOOD = {"5": (700, 1, 0)}
METADATA: dict[str, MetaData] = {stored.name: stored.metadata for stored in STORED}


class Rows:
    """Files as a shop has them, filled by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "databases").mkdir()
        self.engines = {
            name: create_engine(f"sqlite:///{folder}/databases/{name}.db", isolation_level="AUTOCOMMIT")
            for name in SERVICES
        }
        for name, engine in self.engines.items():
            METADATA[name].create_all(engine)

    def add(self, service: str, table: str, **values: Any) -> None:
        of = METADATA[service].tables[table]
        with self.engines[service].connect() as connection:
            connection.execute(insert(of).values({**_blank(of), **values}))

    def change(self, service: str, table: str, **values: Any) -> None:
        with self.engines[service].connect() as connection:
            connection.execute(update(METADATA[service].tables[table]).values(values))


def _blank(table: Table) -> dict[str, Any]:
    """Something for every column that must hold something."""
    found: dict[str, Any] = {}
    for column in table.columns:
        if column.nullable:
            continue
        if isinstance(column.type, Integer | Boolean):
            found[column.name] = column.type.python_type()
        elif isinstance(column.type, LargeBinary):
            found[column.name] = b""
        else:
            found[column.name] = ""
    return found


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    """One variant of ten pieces, one of them sold by order 5 for 700."""
    rows = Rows(tmp_path)
    rows.add("inventory", "stock", slot=1, sku="A", location="main", on_hand=9, reserved=0, sold=1, version=2)
    place = {"slot": 1, "sku": "A", "location": "main", "bucket": 0}
    rows.add("inventory", "movements", **place, version=1, on_hand=10, reserved=0, sold=0)
    rows.add("inventory", "movements", **place, version=2, on_hand=-1, reserved=0, sold=1)
    rows.add(
        "orders",
        "orders",
        **{"slot": 3, "order_id": 5, "status": "placed", "subtotal": 700, "total": 700, "pieces": 1},
        **{"authorized": 700, "captured": 700, "payment_state": "captured", "answer": "{}", "adjustments": "[]"},
    )
    rows.add("orders", "order_lines", slot=3, order_id=5, sku="A", quantity=1, unit_price=700, total=700)
    rows.add(
        "payments",
        "intents",
        **{"slot": 3, "order_id": 5, "amount": 700, "captured": 700, "mode": "charge", "state": "captured"},
    )
    return rows


@pytest.fixture
async def books(rows: Rows) -> AsyncIterator[Books]:
    books = SqliteBooks(rows.folder)
    yield books
    await books.close()


async def test_a_shop_that_is_right_passes(books: Books):
    assert await audit(books, provider=GOOD, acknowledged=[("5-secret", "placed")]) == []


async def test_an_order_without_its_piece_is_an_oversell(rows: Rows, books: Books):
    rows.add(
        "orders",
        "orders",
        **{"slot": 4, "order_id": 6, "status": "placed", "subtotal": 700, "total": 700, "pieces": 1},
        **{"authorized": 700, "captured": 700, "payment_state": "captured", "answer": "{}", "adjustments": "[]"},
    )
    rows.add("orders", "order_lines", slot=4, order_id=6, sku="A", quantity=1, unit_price=700, total=700)
    rows.add(
        "payments",
        "intents",
        **{"slot": 4, "order_id": 6, "amount": 700, "captured": 700, "mode": "charge", "state": "captured"},
    )

    wrong = await audit(books, provider={**GOOD, "6": (700, 1, 0)})

    assert len(wrong) == 1
    assert wrong[0].startswith("pieces sold are not those of orders")
    assert "('A', 1, 2)" in wrong[0]


async def test_a_piece_that_was_sold_to_nobody_is_an_undersell(rows: Rows, books: Books):
    rows.change("orders", "order_lines", quantity=2, returned=2, fulfilled=2)

    assert "('A', 1, 0)" in (await audit(books, provider=GOOD))[0]


async def test_a_level_that_its_ledger_does_not_explain_is_found(rows: Rows, books: Books):
    rows.change("inventory", "stock", on_hand=8)

    assert (await audit(books, provider=GOOD))[0].startswith("the ledger of stock does not add up")


async def test_a_piece_that_stays_reserved_is_found(rows: Rows, books: Books):
    rows.change("inventory", "stock", reserved=1)

    assert any(each.startswith("pieces are promised to nobody") for each in await audit(books, provider=GOOD))


async def test_lines_that_are_not_the_subtotal_are_found(rows: Rows, books: Books):
    rows.change("orders", "order_lines", total=699)

    assert (await audit(books, provider=GOOD))[0].startswith("an order's lines")


async def test_money_that_payments_hold_otherwise_is_found(rows: Rows, books: Books):
    rows.change("payments", "intents", captured=699)

    assert (await audit(books, provider=GOOD))[0].startswith("an order is held at another amount by payments")


@pytest.mark.parametrize(
    ("status", "provider", "acknowledged", "said"),
    [
        ("placed", {"5": (700, 2, 700)}, (), "an order was charged twice"),
        ("placed", {"5": (600, 1, 0)}, (), "a sold order was charged another amount"),
        ("placed", {}, (), "a sold order was charged another amount"),
        ("rejected", GOOD, (), "an order that was not sold keeps money"),
        ("placed", {**GOOD, "9": (100, 1, 0)}, (), "money was taken without an order"),
        ("placed", GOOD, [("5-a", "placed"), ("5-a", "placed")], "two buyers were told of the same order"),
        ("placed", GOOD, [("6-a", "placed")], "an acknowledged order is not there"),
        ("rejected", {}, [("5-a", "placed")], "an acknowledged order was not sold"),
    ],
)
def test_wrong_money_and_wrong_words_are_found(
    status: str, provider: dict[str, tuple[int, int, int]], acknowledged: list[tuple[str, str]], said: str
):
    evidence = Evidence(orders=[Order(5, status, 700)], provider=provider, acknowledged=acknowledged)

    assert any(each.startswith(said) for each in judge(evidence))


async def test_a_shop_without_anything_under_way_has_drained(books: Books):
    assert await drained_at(books, with_mails=True) > 0


async def test_a_shop_with_an_unsent_event_has_not(rows: Rows, books: Books):
    rows.add("orders", "outbox", event_id=1)

    with pytest.raises(NotDrained, match="events of orders unsent"):
        await drained_at(books, seconds=0)
