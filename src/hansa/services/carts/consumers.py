"""What carts does when others' events arrive."""

from collections.abc import Sequence
from typing import Any

from hansa.platform.database.port import Transaction
from hansa.platform.messaging.port import Consumer, Received
from hansa.services.carts.service import CartsService
from hansa.services.orders.events import OrderPlaced


def consumers(carts: CartsService) -> Sequence[Consumer[Any]]:
    async def close_ordered(tx: Transaction, batch: Sequence[Received[OrderPlaced]]) -> None:
        """A cart that became an order is closed, so that the member's next cart is a new one."""
        await carts.close(tx, cart_ids=[received.event.cart_id for received in batch if received.event.cart_id])

    return [Consumer(name="carts.close_ordered", hears=OrderPlaced, handle=close_ordered)]
