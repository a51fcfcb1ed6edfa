"""What orders do when payments and inventory have news."""

from collections.abc import Sequence
from typing import Any

from hansa.kernel.ids import slot_of
from hansa.platform.database.port import Transaction
from hansa.platform.messaging.port import Consumer, Received
from hansa.services.inventory.events import ReservationExpired
from hansa.services.orders.service import OrdersService
from hansa.services.payments.events import PaymentCaptured, PaymentFailed, PaymentRefunded, PaymentRefundFailed


def consumers(service: OrdersService) -> Sequence[Consumer[Any]]:
    """Orders are locked in the order of their keys, so that two batches never wait for each other in a ring."""

    async def captured(tx: Transaction, news: Sequence[Received[PaymentCaptured]]) -> None:
        events = sorted((each.event for each in news), key=_order)
        await service.payments_captured(tx, {event.order_id: event.amount.amount for event in events})

    async def failed(tx: Transaction, news: Sequence[Received[PaymentFailed]]) -> None:
        for event in sorted((each.event for each in news), key=_order):
            await service.payment_failed(tx, order_id=event.order_id)

    async def refunded(tx: Transaction, news: Sequence[Received[PaymentRefunded]]) -> None:
        for event in sorted((each.event for each in news), key=_order):
            await service.payment_refunded(tx, order_id=event.order_id, refund_id=event.refund_id, amount=event.amount)

    async def refund_failed(tx: Transaction, news: Sequence[Received[PaymentRefundFailed]]) -> None:
        for event in sorted((each.event for each in news), key=_order):
            await service.payment_refund_failed(
                tx, order_id=event.order_id, refund_id=event.refund_id, amount=event.amount
            )

    async def expired(tx: Transaction, news: Sequence[Received[ReservationExpired]]) -> None:
        for event in sorted((each.event for each in news), key=_order):
            await service.reservation_expired(tx, order_id=event.order_id)

    resume = service.resuming.kick
    return [
        Consumer(name="orders.captured", hears=PaymentCaptured, handle=captured, afterwards=resume),
        Consumer(name="orders.failed", hears=PaymentFailed, handle=failed, afterwards=resume),
        Consumer(name="orders.refunded", hears=PaymentRefunded, handle=refunded),
        Consumer(name="orders.refund_failed", hears=PaymentRefundFailed, handle=refund_failed),
        Consumer(name="orders.expired", hears=ReservationExpired, handle=expired, afterwards=resume),
    ]


def _order(
    event: PaymentCaptured | PaymentFailed | PaymentRefunded | PaymentRefundFailed | ReservationExpired,
) -> tuple[int, int]:
    return slot_of(event.order_id), int(event.order_id)
