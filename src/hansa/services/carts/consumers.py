"""What carts does when others' events arrive."""

from collections.abc import Sequence
from typing import Any

from hansa.platform.database.port import Transaction
from hansa.platform.messaging.port import Consumer, Received
from hansa.services.carts.contract import CartLine
from hansa.services.carts.service import CartsService
from hansa.services.orders.events import OrderPlaced


def consumers(carts: CartsService) -> Sequence[Consumer[Any]]:
    async def close_ordered(tx: Transaction, batch: Sequence[Received[OrderPlaced]]) -> None:
        """A cart that became an order is closed; what the order does not have goes on in the next cart."""
        await carts.close(
            tx,
            ordered={
                received.event.cart_id: [
                    CartLine(sku=line.sku, quantity=line.quantity) for line in received.event.lines
                ]
                for received in batch
                if received.event.cart_id
            },
        )

    def has_cart(event: OrderPlaced) -> bool:
        return event.cart_id is not None

    return [Consumer(name="carts.close_ordered", hears=OrderPlaced, handle=close_ordered, concerns=has_cart)]
