"""What home does when products and orders have news."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hansa.kernel import tags
from hansa.platform.database.port import Transaction
from hansa.platform.messaging.port import Consumer, Received
from hansa.services.home.service import HomeService
from hansa.services.orders.events import OrderCancelled, OrderPlaced
from hansa.services.products.events import ProductPut, VariantAvailabilityChanged


def consumers(service: HomeService) -> Sequence[Consumer[Any]]:
    async def put(tx: Transaction, batch: Sequence[Received[ProductPut]]) -> None:
        await service.hear_products(tx, records=[received.event.record for received in batch])

    async def available(tx: Transaction, batch: Sequence[Received[VariantAvailabilityChanged]]) -> None:
        words = [
            (received.event.product_id, received.event.sku, received.event.is_available, received.envelope.version)
            for received in batch
        ]
        await service.hear_availability(tx, words=words)

    async def placed(tx: Transaction, batch: Sequence[Received[OrderPlaced]]) -> None:
        orders = []
        for received in batch:
            pieces: Counter[str] = Counter()
            for line in received.event.lines:
                pieces[line.product_id] += line.quantity
            orders.append((received.event.order_id, received.envelope.time, pieces))
        await service.hear_placed(tx, orders=orders)

    async def cancelled(tx: Transaction, batch: Sequence[Received[OrderCancelled]]) -> None:
        orders = [(received.event.order_id, received.envelope.time) for received in batch]
        await service.hear_cancelled(tx, orders=orders)

    return (
        Consumer(name="home.product_put", hears=ProductPut, handle=put, changes=(tags.HOME,)),
        Consumer(
            name="home.variant_availability", hears=VariantAvailabilityChanged, handle=available, changes=(tags.HOME,)
        ),
        # What sells best is shown when the page is made anew for another reason or has become old: orders come all the
        # time, and must not have it made anew each time.
        Consumer(name="home.order_placed", hears=OrderPlaced, handle=placed),
        Consumer(name="home.order_cancelled", hears=OrderCancelled, handle=cancelled),
    )
