"""What promotions do when orders come to nothing: their pieces are for sale again."""

from collections.abc import Sequence
from typing import Any

from hansa.platform.database.port import Transaction
from hansa.platform.messaging.port import Consumer, Received
from hansa.services.orders.events import OrderCancelled, OrderRejected
from hansa.services.promotions.service import PromotionsService


def consumers(service: PromotionsService) -> Sequence[Consumer[Any]]:
    async def release(tx: Transaction, batch: Sequence[Received[OrderCancelled] | Received[OrderRejected]]) -> None:
        events = [received.event for received in batch]
        await service.release_within(
            tx, orders=[(event.flash_sale, event.order_id) for event in events if event.flash_sale is not None]
        )

    def is_of_a_flash_sale(event: OrderCancelled | OrderRejected) -> bool:
        return event.flash_sale is not None

    return (
        Consumer(
            name="promotions.release_cancelled",
            hears=OrderCancelled,
            handle=release,
            concerns=is_of_a_flash_sale,
            afterwards=service.looking.kick,
        ),
        Consumer(
            name="promotions.release_rejected",
            hears=OrderRejected,
            handle=release,
            concerns=is_of_a_flash_sale,
            afterwards=service.looking.kick,
        ),
    )
