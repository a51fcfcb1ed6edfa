"""What inventory does when orders come to an end: it gives back what they hold or were sold."""

from collections.abc import Sequence
from typing import Any

from hansa.platform.database.port import Transaction
from hansa.platform.messaging.port import Consumer, Received
from hansa.services.inventory.service import InventoryService
from hansa.services.orders.events import OrderCancelled, OrderRejected


def consumers(service: InventoryService) -> Sequence[Consumer[Any]]:
    async def release(tx: Transaction, batch: Sequence[Received[OrderCancelled] | Received[OrderRejected]]) -> None:
        await service.release_within(tx, order_ids=[received.event.order_id for received in batch])

    return (
        Consumer(name="inventory.release_cancelled", hears=OrderCancelled, handle=release),
        Consumer(name="inventory.release_rejected", hears=OrderRejected, handle=release),
    )
