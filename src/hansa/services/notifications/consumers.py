"""What notifications do when others have news: mails for orders, and webhooks for everything."""

from collections.abc import Sequence
from typing import Any

from hansa.kernel.event import Event
from hansa.platform.database.port import Transaction
from hansa.platform.messaging.port import Consumer, Received
from hansa.services.inventory.events import AvailabilityChanged, ReservationExpired
from hansa.services.notifications.service import Confirmation, NotificationsService
from hansa.services.orders.events import OrderCancelled, OrderFulfilled, OrderPlaced, OrderRejected
from hansa.services.payments.events import (
    PaymentAuthorized,
    PaymentCaptured,
    PaymentFailed,
    PaymentRefunded,
    PaymentRefundFailed,
)
from hansa.services.products.events import ProductPut, VariantAvailabilityChanged
from hansa.services.promotions.events import FlashSaleAnnounced, FlashSaleCancelled

PUBLIC: tuple[type[Event], ...] = (
    OrderPlaced,
    OrderRejected,
    OrderCancelled,
    OrderFulfilled,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentFailed,
    PaymentRefunded,
    PaymentRefundFailed,
    ProductPut,
    VariantAvailabilityChanged,
    AvailabilityChanged,
    ReservationExpired,
    FlashSaleAnnounced,
    FlashSaleCancelled,
)
"""Every event of the shop: what a webhook can hear."""


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
        await service.mails.orders_placed(tx, confirmations=confirmations)

    return [
        Consumer(
            name="notifications.order_placed",
            hears=OrderPlaced,
            handle=placed,
            afterwards=service.mails.sending.kick,
        ),
        *(_telling(service, event) for event in PUBLIC),
    ]


def event_types() -> dict[str, str]:
    """The types of all public events, and what each means."""
    return {event.type: (event.__doc__ or event.type).strip().splitlines()[0] for event in PUBLIC}


def _telling(service: NotificationsService, event: type[Event]) -> Consumer[Any]:
    """Of an event that no webhook hears nothing is left, not even a note; what a process may go by, `Roster` says."""

    async def note(tx: Transaction, news: Sequence[Received[Any]]) -> None:
        await service.heard(tx, [each.envelope for each in news])

    return Consumer(
        name=f"notifications.webhooks_{event.type.split('.')[1]}",
        hears=event,
        handle=note,
        concerns=lambda _: service.may_be_told(event.type),
        afterwards=service.stir,
    )
