"""What notifications do when orders have news."""

from collections.abc import Sequence
from typing import Any

from hansa.platform.database.port import Transaction
from hansa.platform.messaging.port import Consumer, Received
from hansa.services.notifications.service import Confirmation, NotificationsService
from hansa.services.orders.events import OrderPlaced


def consumers(service: NotificationsService) -> Sequence[Consumer[Any]]:
    async def placed(tx: Transaction, news: Sequence[Received[OrderPlaced]]) -> None:
        confirmations = [
            Confirmation(
                order_id=event.order_id,
                number=event.number,
                lines=[(line.name, line.quantity, line.total) for line in event.lines],
                steps=[(step.name, step.amount, step.included) for step in event.steps],
                subtotal=event.subtotal,
                total=event.total,
                locale=event.locale,
                person=event.person,
                contact=event.contact,
            )
            for event in (each.event for each in news)
        ]
        await service.orders_placed(tx, confirmations=confirmations)

    return [
        Consumer(name="notifications.order_placed", hears=OrderPlaced, handle=placed, afterwards=service.sending.kick)
    ]
