"""After every commit: what may never be is found at once, and so is a step that nobody may take."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Table, create_engine
from sqlalchemy.pool import StaticPool

from hansa.services.inventory.tables import RESERVATIONS, STOCK
from hansa.services.orders.tables import ORDERS
from hansa.services.payments.tables import INTENTS
from tests.simulation.invariants.orders import LEGAL
from tests.simulation.invariants.step import PAYMENT_STEPS, RESERVATION_STEPS, StepWatcher

_NOTHING = {"parts": "[]", "returned": None}
SERVICES = {
    "inventory": (STOCK, RESERVATIONS),
    "orders": (ORDERS,),
    "payments": (INTENTS,),
}


class Watched:
    """A database without the checks of its tables, so that the watcher has something to find."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.watcher = StepWatcher()
        self._connection = sqlite3.connect(":memory:")
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA ignore_check_constraints = ON")
        engine = create_engine("sqlite://", creator=lambda: self._connection, poolclass=StaticPool)
        for table in SERVICES[service]:
            table.create(engine)
        self._connection.commit()

    def put(self, table: Table, key: str, **values: Any) -> list[str]:
        """Write a row, everything that is not named being empty; what the watcher says of that commit."""
        row = dict.fromkeys(table.c.keys(), 0) | values
        names, marks = ", ".join(row), ", ".join("?" for _ in row)
        self._connection.execute(f"DELETE FROM {table.name} WHERE {key} = ?", (row[key],))
        self._connection.execute(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", tuple(row.values()))
        self._connection.commit()
        return self.look()

    def remove(self, table: Table) -> list[str]:
        self._connection.execute(f"DELETE FROM {table.name}")
        return self.look()

    def look(self) -> list[str]:
        return [str(violation) for violation in self.watcher.after_commit(self.service, self._query)]

    def _query(self, text: str) -> Sequence[Any]:
        return self._connection.execute(text).fetchall()


def _parts(quantity: int) -> str:
    return f'[{{"place":[7,"HAT","main",0],"quantity":{quantity}}}]'


def _order(watched: Watched, **values: Any) -> list[str]:
    paid = {"payment_state": "captured", "captured": 5, "total": 5}
    return watched.put(ORDERS, "order_id", **{"order_id": 1, **paid, **values})


@pytest.mark.parametrize("before", LEGAL)
@pytest.mark.parametrize("after", LEGAL)
def test_orders_take_legal_steps_only(before: str, after: str):
    watched = Watched("orders")
    assert _order(watched, status=before, version=1) == []

    found = _order(watched, status=after, version=2)

    assert bool(found) == (after != before and after not in LEGAL[before])


def test_a_step_of_an_order_makes_a_version():
    watched = Watched("orders")
    _order(watched, status="pending", version=2)

    assert _order(watched, status="placed", version=2)
    assert _order(watched, status="placed", version=1)


def test_an_order_stays():
    watched = Watched("orders")
    _order(watched, status="placed", version=2)

    assert watched.remove(ORDERS)


@pytest.mark.parametrize("payment", [{"payment_state": "pending"}, {"captured": 4}])
def test_a_placed_order_is_paid(payment: dict[str, Any]):
    assert _order(Watched("orders"), status="placed", version=1, **payment)


@pytest.mark.parametrize("before", PAYMENT_STEPS)
@pytest.mark.parametrize("after", PAYMENT_STEPS)
def test_payments_only_rise(before: str, after: str):
    watched = Watched("payments")
    assert watched.put(INTENTS, "order_id", order_id=1, state=before, version=1) == []

    found = watched.put(INTENTS, "order_id", order_id=1, state=after, version=2)

    assert bool(found) == (after != before and after not in PAYMENT_STEPS[before])


@pytest.mark.parametrize("less", [{"captured": 4}, {"refunded": 1}, {"version": 1}])
def test_money_that_moved_has_moved(less: dict[str, Any]):
    watched = Watched("payments")
    row = {"order_id": 1, "state": "captured", "amount": 5, "captured": 5, "refunded": 2, "version": 2}
    assert watched.put(INTENTS, "order_id", **row) == []

    assert watched.put(INTENTS, "order_id", **(row | less))


@pytest.mark.parametrize("sums", [{"refunded": 6}, {"refunded": 3, "refunding": 3}, {"amount": 4}, {"refunding": -1}])
def test_never_more_is_given_back_than_was_taken(sums: dict[str, int]):
    row = {"order_id": 1, "state": "captured", "amount": 5, "captured": 5} | sums

    assert Watched("payments").put(INTENTS, "order_id", **row)


@pytest.mark.parametrize("before", RESERVATION_STEPS)
@pytest.mark.parametrize("after", RESERVATION_STEPS)
def test_reservations_end_once(before: str, after: str):
    watched = Watched("inventory")
    assert watched.put(RESERVATIONS, "order_id", order_id=1, state=before, **_NOTHING) == []

    found = watched.put(RESERVATIONS, "order_id", order_id=1, state=after, **_NOTHING)

    assert bool(found) == (after != before and after not in RESERVATION_STEPS[before])


@pytest.mark.parametrize("level", [{"reserved": -1}, {"sold": -1}, {"on_hand": 1, "reserved": 2}])
def test_no_level_is_below_zero(level: dict[str, int]):
    assert Watched("inventory").put(STOCK, "sku", sku="HAT", location="main", **level)


@pytest.mark.parametrize(
    ("state", "parts", "returned"),
    [
        ("held", _parts(-1), None),
        ("sold", _parts(1), _parts(-1)),
        ("sold", _parts(1), _parts(2)),
        ("sold", "[]", _parts(1)),
        ("held", _parts(1), _parts(1)),
    ],
)
def test_no_reservation_is_below_zero(state: str, parts: str, returned: str | None):
    row = {"order_id": 1, "state": state, "parts": parts, "returned": returned}

    assert Watched("inventory").put(RESERVATIONS, "order_id", **row)


def test_what_was_sold_may_come_back():
    row = {"order_id": 1, "state": "sold", "parts": _parts(2), "returned": _parts(1)}

    assert Watched("inventory").put(RESERVATIONS, "order_id", **row) == []


def test_a_level_forgets_no_version():
    watched = Watched("inventory")
    assert watched.put(STOCK, "sku", sku="HAT", location="main", version=2) == []

    assert watched.put(STOCK, "sku", sku="HAT", location="main", version=1)


def test_everything_is_compared_with_how_it_stood_before():
    watched = Watched("orders")
    _order(watched, order_id=1, status="pending", version=1)
    _order(watched, order_id=2, status="pending", version=1)
    assert _order(watched, order_id=2, status="placed", version=2) == []
    assert _order(watched, order_id=1, status="rejected", version=2) == []

    assert _order(watched, order_id=1, status="placed", version=3)
    assert _order(watched, order_id=2, status="completed", version=3) == []


def test_other_databases_are_left_alone():
    assert Watched("inventory").watcher.after_commit("carts", lambda text: pytest.fail(text)) == []
