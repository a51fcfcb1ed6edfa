"""Stock as the staff sees and counts it."""

from collections.abc import Sequence

import msgspec

from hansa.kernel.channel import MAIN
from hansa.platform.http.route import STAFF_ONLY, Api, Call, Route
from hansa.services.inventory.contract import Inventory, Location, OnHand, Sku, Stock


class PutStock(msgspec.Struct, frozen=True, kw_only=True):
    """A count: so many pieces are at the location."""

    on_hand: OnHand
    location: Location = MAIN


def routes(inventory: Inventory) -> Sequence[Route]:
    api = Api("inventory")

    @api.get("/admin/inventory/{sku}", access=STAFF_ONLY, calls=Inventory.stock)
    async def get_stock(call: Call, *, sku: Sku) -> Stock:
        """The stock of a sku, in all and by location; its version is the ETag."""
        return await inventory.stock(sku=sku)

    @api.put("/admin/inventory/{sku}", access=STAFF_ONLY, calls=Inventory.set_on_hand)
    async def put_stock(call: Call, *, sku: Sku, body: PutStock) -> Stock:
        """Say how many pieces were counted at a location. With If-Match, only if nothing has changed since."""
        return await inventory.set_on_hand(
            key=call.key,
            sku=sku,
            on_hand=body.on_hand,
            version=call.version,
            actor=call.actor,
            location=body.location,
        )

    return api.routes
