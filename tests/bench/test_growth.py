"""Copied orders look like earlier ones."""

import sqlite3
from pathlib import Path

import pytest

from bench.parts.growth import EARLIER, copy_orders
from hansa.kernel.ids import slot_of

ORDER = 400_000_000_000_000_123


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "orders.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE orders (slot, order_id, total, PRIMARY KEY (slot, order_id))")
        connection.execute("CREATE TABLE order_keys (slot, key, order_id, PRIMARY KEY (slot, key))")
        connection.execute("CREATE TABLE movements (slot, sku)")
        connection.execute("INSERT INTO orders VALUES (1, ?, 700)", (ORDER,))
        connection.execute("INSERT INTO order_keys VALUES (1, 'k', ?)", (ORDER,))
        connection.execute("INSERT INTO movements VALUES (1, 'A')")
    connection.close()
    return file


def test_what_belongs_to_an_order_is_copied_and_nothing_else(file: Path):
    assert copy_orders(file, copies=3) == {"order_keys": 3, "orders": 3}

    connection = sqlite3.connect(file)
    ids = [row[0] for row in connection.execute("SELECT order_id FROM orders ORDER BY order_id DESC")]
    keys = {row[0] for row in connection.execute("SELECT key FROM order_keys")}
    movements = connection.execute("SELECT count(*) FROM movements").fetchone()[0]
    connection.close()
    assert ids == [ORDER - number * EARLIER for number in range(4)]
    assert keys == {"k", "1-k", "2-k", "3-k"}
    assert movements == 1


def test_a_copy_stays_in_its_slot(file: Path):
    assert slot_of(str(ORDER - 100 * EARLIER)) == slot_of(str(ORDER))
