"""What shoppers do at a flash sale: they all come at once, want more than they may have, and come again."""

import asyncio
from random import Random
from typing import Any

from tests.simulation.workload.journal import Request
from tests.simulation.workload.shoppers import Shopper


async def come_to_the_flash_sale(shopper: Shopper, chance: Random) -> None:
    """Fetch a ticket and buy, in one tab or in several, perhaps asking again later; who is no member is sent away."""
    client = shopper.client
    drafts = [
        shopper.draft(chance) | {"quantity": chance.choice((1, 1, 1, 2, 3))} for _ in range(chance.choice((1, 2)))
    ]
    later_s, is_repeating, is_cancelling = chance.uniform(0.2, 5), chance.random() < 0.4, chance.random() < 0.3
    sales = await client.get("/flash-sales")
    if sales is None or not sales["items"]:
        return
    sale = sales["items"][0]
    if not client.token:
        request = _buying(shopper, sale, drafts[0], "", expects=("request.token_missing",))
        reply = await client.insist(request)
        if reply is not None and reply.status < 300:
            client.complain("secret", subject=sale["id"], text="somebody bought who is no member")
        return
    ticket = await client.get(f"/flash-sales/{sale['id']}/ticket")
    if ticket is None:
        return
    requests = [_buying(shopper, sale, draft, ticket["ticket"]) for draft in drafts]
    replies = list(await asyncio.gather(*(client.insist(request) for request in requests)))
    names = [shopper.named(reply) for reply in replies]
    await client.pause(later_s)
    if is_repeating:
        again = await client.insist(requests[0])
        if names[0] and shopper.named(again) not in ("", names[0]):
            client.complain("key", subject=requests[0].key, text=f"one key, two orders: {names[0]}")
        if names[0] and again is not None and again.status != 201:
            client.complain("key", subject=requests[0].key, text=f"bought, and refused when asked again: {again}")
    if is_cancelling and names[0]:
        await client.insist(shopper.cancelling(names[0]))


def _buying(
    shopper: Shopper, sale: Any, draft: dict[str, Any], ticket: str, *, expects: tuple[str, ...] = ()
) -> Request:
    body = {name: value for name, value in draft.items() if name != "currency"} | {"ticket": ticket}
    return shopper.client.request("POST", f"/flash-sales/{sale['id']}/orders", body, expects=expects)
