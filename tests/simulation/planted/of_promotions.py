"""Planted between orders and promotions: pieces of a flash sale that stay with an order that came to nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

from hansa.services.orders.contract import Order
from hansa.services.orders.events import OrderRejected
from hansa.services.orders.rules import answers
from tests.simulation.planted.patching import replaced


@contextmanager
def rejected_orders_keep_their_claims() -> Iterator[None]:
    def order_rejected(order: Order) -> OrderRejected:
        return OrderRejected(order_id=order.id, reason=order.reason or "")

    with replaced(answers, order_rejected=order_rejected):
        yield
