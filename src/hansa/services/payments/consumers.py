"""What payments do about others' events: the money of an order that came to nothing goes back."""

from collections.abc import Sequence
from typing import Any

from hansa.platform.database.port import Transaction
from hansa.platform.messaging.port import Consumer, Received
from hansa.services.orders.events import OrderCancelled, OrderRejected
from hansa.services.payments.service import PaymentsService


def consumers(service: PaymentsService) -> Sequence[Consumer[Any]]:
    async def closed(tx: Transaction, received: Sequence[Received[OrderRejected | OrderCancelled]]) -> None:
        await service.close_orders(tx, order_ids=[one.event.order_id for one in received])

    follow_up = service.following_up.kick
    return (
        Consumer(name="payments.order_rejected", hears=OrderRejected, handle=closed, afterwards=follow_up),
        Consumer(name="payments.order_cancelled", hears=OrderCancelled, handle=closed, afterwards=follow_up),
    )
