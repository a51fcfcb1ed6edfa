"""What search does when products have news."""

from collections.abc import Sequence
from typing import Any

from hansa.platform.database.port import Transaction
from hansa.platform.messaging.port import Consumer, Received
from hansa.services.products.events import ProductPut, VariantAvailabilityChanged
from hansa.services.search.service import SearchService


def consumers(service: SearchService) -> Sequence[Consumer[Any]]:
    async def put(tx: Transaction, news: Sequence[Received[ProductPut]]) -> None:
        await service.hear(tx, records=[received.event.record for received in news])

    async def flipped(tx: Transaction, news: Sequence[Received[VariantAvailabilityChanged]]) -> None:
        words = [
            (received.event.product_id, received.event.sku, received.envelope.version, received.event.is_available)
            for received in news
        ]
        await service.hear_availability(tx, words=words)

    soon = service.catching_up.kick
    return [
        Consumer(name="search.product_put", hears=ProductPut, handle=put, afterwards=soon),
        Consumer(name="search.availability", hears=VariantAvailabilityChanged, handle=flipped, afterwards=soon),
    ]
