"""What the service orders says of itself."""

from collections.abc import Sequence
from pathlib import Path

from hansa.platform.jobs.periodic import Job
from hansa.platform.manifest import Manifest, Parts
from hansa.platform.messaging.following import Followed
from hansa.services.carts.contract import Carts
from hansa.services.inventory.contract import Inventory
from hansa.services.orders.api import routes
from hansa.services.orders.consumers import consumers
from hansa.services.orders.contract import Orders
from hansa.services.orders.events import OrderCancelled, OrderFulfilled, OrderPlaced, OrderRejected
from hansa.services.orders.service import OrdersService
from hansa.services.orders.service.follow import FOLLOWED_AS
from hansa.services.orders.tables import METADATA
from hansa.services.payments.contract import Payments
from hansa.services.promotions.contract import Promotions
from hansa.services.shipping.contract import Shipping

RESUME_EVERY_S = 2.0
RESUME_REFUNDS_EVERY_S = 5.0
FORGET_EVERY_S = 3600.0


def build(parts: Parts) -> OrdersService:
    return OrdersService(
        database=parts.database,
        clock=parts.clock,
        ids=parts.ids,
        channel=parts.channel,
        keyring=parts.keyring,
        carts=parts.client(Carts),
        inventory=parts.client(Inventory),
        payments=parts.client(Payments),
        promotions=parts.client(Promotions),
        shipping=parts.client(Shipping),
        following=parts.following,
    )


def jobs(service: OrdersService) -> Sequence[Job]:
    return [
        Job(name="orders.resume", every_s=RESUME_EVERY_S, run=service.resume),
        Job(name="orders.resume_refunds", every_s=RESUME_REFUNDS_EVERY_S, run=service.resume_refunds),
        Job(name="orders.forget_keys", every_s=FORGET_EVERY_S, run=service.forget_keys),
    ]


MANIFEST = Manifest(
    name="orders",
    contract=Orders,
    uses=(Carts, Inventory, Payments, Promotions, Shipping),
    metadata=METADATA,
    folder=Path(__file__).parent,
    build=build,
    emits=(OrderPlaced, OrderRejected, OrderCancelled, OrderFulfilled),
    followed=Followed(
        kind=FOLLOWED_AS,
        says={
            OrderPlaced: lambda event: "placed",
            OrderRejected: lambda event: "rejected",
            OrderCancelled: lambda event: "cancelled",
            OrderFulfilled: lambda event: "completed" if event.is_complete else "fulfilled",
        },
    ),
    consumers=consumers,
    jobs=jobs,
    quiet=lambda service: service.resuming.quiet(),
    close=OrdersService.close,
    routes=routes,
)
