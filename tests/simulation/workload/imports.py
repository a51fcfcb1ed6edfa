"""An import while the shop is open: a supplier's file is written row by row through the staff's routes, and again.

There is no public route for whole files (they are uploaded in the admin pages or given to the command line), so this
drives `POST /admin/products` and `PUT /admin/inventory/{sku}` as an import would: bounded sets at once, a fixed key for
each row, and the same file once more with the same keys, as after a crash.
"""

import asyncio

from tests.simulation.workload.client import Client
from tests.simulation.workload.journal import Request
from tests.simulation.workload.scene import ARRIVING, draft

TIMES = 2
"""How often the same file is brought in."""


async def bring_in(client: Client, file: str) -> None:
    """All arriving goods with their stock. The keys are the file's: another import of it repeats its rows."""
    chance = client.chance_for("file")
    for _ in range(TIMES):
        goods = list(ARRIVING)
        chance.shuffle(goods)
        drafts = [_row(client, "POST", "/admin/products", good.product, file) for good in goods]
        await asyncio.gather(*(client.insist(row) for row in drafts))
        counts = [_row(client, "PUT", f"/admin/inventory/{good.sku}", good.sku, file) for good in goods]
        await asyncio.gather(*(client.insist(row) for row in counts))
        await client.pause(chance.uniform(0.2, 2))


def _row(client: Client, verb: str, path: str, name: str, file: str) -> Request:
    pieces = {good.sku: good.pieces for good in ARRIVING}
    body = {"on_hand": pieces[name]} if verb == "PUT" else draft(name)
    return client.request(verb, path, body, key=f"{file}-{name}", expects=("products.slug_taken", "products.sku_taken"))
