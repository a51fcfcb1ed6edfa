"""What products do when inventory says that a sku can be had, or no longer."""

from collections.abc import Sequence

from hansa.platform.database.port import Transaction
from hansa.platform.messaging.port import Consumer, Received
from hansa.services.inventory.events import AvailabilityChanged
from hansa.services.products.service import ProductsService


def consumers(service: ProductsService) -> Sequence[Consumer[AvailabilityChanged]]:
    async def hear(tx: Transaction, batch: Sequence[Received[AvailabilityChanged]]) -> None:
        await service.hear_availability(
            tx,
            words=[
                (received.event.sku, received.event.location, received.event.is_available, received.envelope.version)
                for received in batch
            ],
        )

    return (Consumer(name="products.availability", hears=AvailabilityChanged, handle=hear),)
