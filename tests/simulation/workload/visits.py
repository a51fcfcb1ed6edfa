"""What shoppers come for: each visit is one way of using the shop that has broken shops before.

A visit takes the shopper and the randomness of this visit alone. What it finds wrong by itself (two orders for one key,
an acknowledged line that is gone) it complains of.
"""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from tests.simulation.workload.answers import code_of, is_certain
from tests.simulation.workload.client import IMPATIENCE_S
from tests.simulation.workload.door import Reply
from tests.simulation.workload.flash import come_to_the_flash_sale
from tests.simulation.workload.journal import KnownCart
from tests.simulation.workload.scene import HOT, PRODUCTS, SKUS
from tests.simulation.workload.shoppers import LATE_TOKENS, Shopper

SHARE_OF_DREAMERS = 0.3
"""How many fill their carts without asking whether it can be had."""
IN_STOCK = tuple(sku for sku in SKUS if sku not in ("BOOK", "LAMP-L"))
Visit = Callable[[Shopper, Random], Awaitable[None]]


async def buy_directly(shopper: Shopper, chance: Random) -> None:
    """Lines, money, order."""
    await shopper.order(shopper.ordering(shopper.draft(chance, lines=shopper.lines(chance))))


async def buy_from_cart(shopper: Shopper, chance: Random) -> None:
    """Fill a cart in two tabs at once, change it, look at its quote, dawdle, and order what was shown; an old tab goes
    on putting things in."""
    client, before = shopper.client, shopper.client.doubts
    several = chance.sample(SKUS if chance.random() < SHARE_OF_DREAMERS else IN_STOCK, 3)
    tabs = [(sku, shopper.quantity(chance)) for sku in several]
    again, body = shopper.quantity(chance), _without_currency(shopper.draft(chance))
    is_particular, is_removing, is_moving = chance.random() < 0.6, chance.random() < 0.3, chance.random() < 0.15
    is_forgetful = chance.random() < 0.15  # that the quote is from before the last change
    dawdling_s, old_tab_s = chance.choice((0.0, 0.0, 1.0, 4.0)), chance.choice((0.0, 0.3, 2.0, None))
    cart = await shopper.open_cart()
    if not cart:
        return
    acknowledged = await shopper.put_at_once(cart, tabs)
    wanted = {sku: {quantity} for (sku, quantity), is_put in zip(tabs, acknowledged, strict=True) if is_put}
    if await shopper.put(cart, several[0], again):
        wanted.setdefault(several[0], set()).add(again)
    if is_removing and await shopper.put(cart, several[1], 0):
        wanted.setdefault(several[1], set()).add(0)
    if is_moving:
        await client.command("PUT", f"/carts/{cart}/currency", {"currency": "USD"})
    shown = await client.get(shopper.quote_path(cart))
    if shown is not None and not shopper.doubts_since(before):
        _check_cart(shopper, shown, wanted)
    is_particular = is_particular and shown is not None and not shown["unavailable"]
    if is_particular:
        body["quote"] = shown["quote"]["fingerprint"]
        await client.pause(dawdling_s)
    if is_forgetful:
        await shopper.put(cart, several[2], tabs[2][1] + 1)
    reply = await client.insist(shopper.ordering(body | {"cart_id": cart}))
    name = shopper.named(reply)
    if name and is_particular and reply is not None and reply.body["total"] != shown["quote"]["total"]:
        said = f"shown {shown['quote']['total']}, ordered at {reply.body['total']}"
        client.complain("money", subject=name, text=said)
    if name and old_tab_s is not None:
        await client.pause(old_tab_s)
        await shopper.put(cart, several[2], 1)


async def quarrel_over_a_line(shopper: Shopper, chance: Random) -> None:
    """Two tabs set the same line at once: one of them has its way, whole."""
    before = shopper.client.doubts
    cart = await shopper.open_cart()
    sku, quantities = "MUG", chance.sample(range(1, 9), 2)
    if not cart or not all(await shopper.put_at_once(cart, [(sku, quantity) for quantity in quantities])):
        return
    shown = await shopper.client.get(f"/carts/{cart}")
    if shown is None or shopper.doubts_since(before) or cart in shopper.ordered_carts or not shown["is_open"]:
        return
    shopper.client.count("two tabs set one line")
    got = _quantities(shown).get(sku, 0)
    if got not in quantities:
        shopper.client.complain("cart", subject=cart, text=f"set to {quantities} at once, {sku} stands at {got}")
    if not shopper.client.token:  # a member's cart is used again
        shopper.client.journal.carts[cart] = KnownCart(
            name=cart, actor=shopper.client.actor, token="", lines={sku: tuple(quantities)}
        )


async def order_one_cart_twice(shopper: Shopper, chance: Random) -> None:
    """Two tabs order the same cart at once, with keys of their own, while a third one still puts something in."""
    before = shopper.client.doubts
    cart = await shopper.open_cart()
    if not cart:
        return
    first, late = chance.sample(SKUS, 2)
    quantity, is_late = shopper.quantity(chance), chance.random() < 0.6
    bodies = [{"cart_id": cart} | shopper.draft(chance, token=token) for token in ("tok_success", "tok_success")]
    if not await shopper.put(cart, first, quantity):
        return
    requests = [shopper.ordering(_without_currency(body)) for body in bodies]
    if is_late:
        requests.append(shopper.putting(cart, late, quantity))
    replies = list(await asyncio.gather(*(shopper.client.insist(request) for request in requests)))
    put = replies.pop() if is_late else None
    made = [reply.body for reply in replies if shopper.named(reply) and reply is not None]
    # One that was still pending may have come to nothing since, which sets its cart free.
    placed = {order["id"] for order in made if order["status"] == "placed"}
    if len(placed) > 1:
        shopper.client.complain("cart", subject=cart, text=f"one cart, two orders: {sorted(placed)}")
    if len(made) == 1 and put is not None and put.status == 200 and not shopper.doubts_since(before):
        await _check_late_line(shopper, cart, late, made[0])


async def double_click(shopper: Shopper, chance: Random) -> None:
    """The same order with the same key several times at once, and again later: one order, one answer."""
    request = shopper.ordering(shopper.draft(chance, lines=shopper.lines(chance)))
    clicks, later_s, is_cancelling = chance.choice((2, 3, 4)), chance.uniform(0.5, 6), chance.random() < 0.4
    replies = await asyncio.gather(*(_after(shopper, number * IMPATIENCE_S, request) for number in range(clicks)))
    certain = await shopper.client.insist(request)
    name = shopper.named(certain)
    if name and is_cancelling:
        await shopper.client.insist(shopper.cancelling(name))
    await shopper.client.pause(later_s)
    replies.append(await shopper.client.insist(request))
    names = {reply.body["id"] for reply in (*replies, certain) if reply is not None and reply.status == 201}
    if len(names) > 1:
        shopper.client.complain("key", subject=request.key, text=f"one key, several orders: {sorted(names)}")
    if name:
        shopper.client.count("an order asked for again with its key")


async def use_a_key_again(shopper: Shopper, chance: Random) -> None:
    """The same key for two different orders, one after the other or at once: one of them is refused."""
    key = shopper.client.key()
    expects = ("idempotency.key_reused",)
    quantity = chance.choice((1, 2))
    requests = [
        shopper.ordering(
            shopper.draft(chance, token="tok_success", lines=[{"sku": "MUG", "quantity": pieces}]),
            key=key,
            expects=expects,
        )
        for pieces in (quantity, quantity + 1)
    ]
    if chance.random() < 0.5:
        replies = list(await asyncio.gather(*(shopper.client.insist(request) for request in requests)))
    else:
        replies = [await shopper.client.insist(request) for request in requests]
    made = {shopper.named(reply) for reply in replies} - {""}
    if len(made) > 1 or sum(reply is not None and reply.status == 201 for reply in replies) > 1:
        shopper.client.complain("key", subject=key, text=f"one key, two orders: {sorted(made)}")


async def change_ones_mind(shopper: Shopper, chance: Random) -> None:
    """Cancel while the payment is on its way or just made: twice at once, with one key or two, and look at what became
    of it."""
    token = chance.choice((*LATE_TOKENS, "tok_success"))
    request = shopper.ordering(shopper.draft(chance, token=token, lines=shopper.lines(chance, most=2)))
    is_repeating = chance.random() < 0.4
    wait_s, is_watching = chance.choice((0.0, 0.0, 0.9, 1.1, 1.9, 2.1)), chance.random() < 0.7
    has_one_key = chance.random() < 0.5
    if shopper.client.token and is_watching:
        reply, _ = await asyncio.gather(shopper.client.insist(request), _cancel_the_newest(shopper))
        shopper.named(reply)
        return
    name = await shopper.order(request)
    if not name:
        return
    await shopper.client.pause(wait_s)
    cancelling = shopper.cancelling(name)
    again = cancelling if has_one_key else shopper.cancelling(name)
    requests = [cancelling, again, *([request] if is_repeating else ())]
    await asyncio.gather(*(shopper.client.insist(each) for each in requests))
    await shopper.read(name)


async def come_for_an_old_order(shopper: Shopper, chance: Random) -> None:
    """Come back later, look at an order and perhaps cancel it; members find all of theirs in the list."""
    if not shopper.orders:
        await buy_directly(shopper, chance)
    if not shopper.orders:
        return
    name, is_cancelling = chance.choice(shopper.orders), chance.random() < 0.6
    await shopper.client.pause(chance.uniform(0.5, 8))
    known = {order for order in shopper.orders if "-" not in order}  # the others were ordered before signing in
    page = await shopper.client.get("/orders?limit=100") if shopper.client.token else None
    if page is not None:
        for missing in sorted(known - {item["id"] for item in page["items"]}):
            shopper.client.complain("durable", subject=missing, text="an acknowledged order is not in the list")
    order = await shopper.read(name)
    if order is not None and is_cancelling:
        await shopper.client.insist(shopper.cancelling(name))
        after = await shopper.read(name)
        if after is not None and after["refunds"]:
            shopper.client.count("a refund was seen")


async def rush(shopper: Shopper, chance: Random) -> None:
    """Grab what is scarce with several orders at once, as resellers do."""
    sku = chance.choice(HOT)
    requests = [
        shopper.ordering(shopper.draft(chance, lines=[{"sku": sku, "quantity": chance.choice((1, 1, 2))}]))
        for _ in range(chance.choice((2, 3)))
    ]
    for reply in await asyncio.gather(*(shopper.client.insist(request) for request in requests)):
        shopper.named(reply)


async def browse(shopper: Shopper, chance: Random) -> None:
    """Look around, perhaps for something that is not there."""
    client, currency = shopper.client, shopper.currency
    await client.get(f"/products?limit={chance.choice((2, 20))}&currency={currency}")
    product = await client.get(
        f"/products/{chance.choice((*PRODUCTS, 'never-was'))}?currency={currency}", expects=("products.not_found",)
    )
    if product is not None:
        await client.get(f"/products/{product['id']}?currency={currency}", expects=("products.not_found",))
    await client.get(
        chance.choice(("/home", "/categories", f"/products?category=things&currency={currency}")),
        expects=("products.category_not_found",),
    )


async def look_for_it(shopper: Shopper, chance: Random) -> None:
    """Search, where the shop has one."""
    await shopper.client.get(f"/search?q={chance.choice(PRODUCTS)}&currency={shopper.currency}&in_stock=true")


async def bring_a_cart(shopper: Shopper, chance: Random) -> None:
    """A member fills a cart before signing in, and claims it, twice at once; then it is ordered."""
    client, token = shopper.client, shopper.client.token
    if not token:
        return await buy_from_cart(shopper, chance)
    sku, quantity, draft = chance.choice(SKUS), shopper.quantity(chance), shopper.draft(chance)
    client.token = ""
    cart = await shopper.open_cart()
    is_put = bool(cart) and await shopper.put(cart, sku, quantity)
    client.token = token
    if not is_put:
        return
    claims = [client.request("POST", f"/carts/{cart}/claim") for _ in range(2)]
    replies = await asyncio.gather(*(client.insist(request) for request in claims))
    claimed = [reply.body for reply in replies if reply is not None and reply.status == 200]
    for body in claimed:
        client.count("a cart was claimed")
        if not shopper.ordered_carts and not client.doubts and _quantities(body).get(sku, 0) < quantity:
            client.complain("cart", subject=cart, text=f"{sku} was lost when the cart was claimed")
    if claimed:
        await shopper.order(shopper.ordering(_without_currency(draft) | {"cart_id": claimed[0]["id"]}))


async def pry(shopper: Shopper, chance: Random) -> None:
    """Ask for what is somebody else's: nothing is there."""
    if not shopper.orders:
        await buy_directly(shopper, chance)
    if not shopper.orders:
        return
    client, token = shopper.client, shopper.client.token
    name, expects = chance.choice(shopper.orders).partition("-")[0], ("orders.not_found",)
    client.token = ""
    requests = [
        client.request("GET", f"/orders/{name}", expects=expects),
        client.request("POST", f"/orders/{name}/cancel", expects=expects),
    ]
    client.token = token
    for request in requests:
        reply = await client.insist(request)
        if reply is not None and reply.status < 300:
            client.complain("secret", subject=name, text=f"a stranger's {request.verb} was granted")


async def order_nothing(shopper: Shopper, chance: Random) -> None:
    """A guest orders an empty cart, then fills it and orders it."""
    client, token = shopper.client, shopper.client.token
    body, quantity = _without_currency(shopper.draft(chance)), shopper.quantity(chance)
    client.token = ""
    if cart := await shopper.open_cart():
        await shopper.order(shopper.ordering(body | {"cart_id": cart}))
        if await shopper.put(cart, "MUG", quantity):
            await shopper.order(shopper.ordering(body | {"cart_id": cart}))
    client.token = token


async def ask_for_nonsense(shopper: Shopper, chance: Random) -> None:
    """What no shop takes: it is refused, and nothing comes of it."""
    line = [{"sku": "MUG", "quantity": 1}]
    nowhere = {name: value for name, value in shopper.address.items() if name != "postal_code"} | {"country": "DE"}
    body, code = chance.choice(
        (
            (shopper.draft(chance, lines=line, shipping_address=nowhere), "orders.address_incomplete"),
            (
                shopper.draft(chance, lines=line, payment={"provider": "bank", "token": "t"}),
                "payments.provider_unknown",
            ),
            (shopper.draft(chance, lines=line, cart_id="1", currency="EUR"), "orders.draft_invalid"),
            (shopper.draft(chance, lines=[{"sku": "MUG", "quantity": 0}]), "request.invalid"),
            (shopper.draft(chance, lines=line, delivery={"method": "broomstick"}), "orders.not_deliverable"),
        )
    )
    reply = await shopper.client.insist(shopper.client.request("POST", "/orders", body, expects=(code,)))
    if reply is not None and reply.status < 300:
        shopper.client.complain("answers", subject=code, text=f"nonsense was granted: {reply.body}")


VISITS: dict[Visit, int] = {
    buy_directly: 5,
    buy_from_cart: 5,
    quarrel_over_a_line: 1,
    order_one_cart_twice: 3,
    double_click: 4,
    use_a_key_again: 2,
    change_ones_mind: 5,
    come_for_an_old_order: 4,
    rush: 3,
    browse: 1,
    bring_a_cart: 2,
    pry: 1,
    ask_for_nonsense: 1,
    order_nothing: 1,
    come_to_the_flash_sale: 6,
}
"""How likely each is."""


def _without_currency(draft: dict[str, Any]) -> dict[str, Any]:
    """A cart has a currency of its own."""
    return {name: value for name, value in draft.items() if name != "currency"}


def _quantities(cart: Any) -> dict[str, int]:
    return {line["sku"]: line["quantity"] for line in cart["lines"]}


def _check_cart(shopper: Shopper, shown: Any, wanted: dict[str, set[int]]) -> None:
    """Everything acknowledged is there, unless an order has taken the cart meanwhile.

    A guest has no key here: an earlier request that comes twice, and late, may set an earlier quantity once more.
    """
    if not shown["is_open"] or shown["id"] in shopper.ordered_carts:
        return
    shopper.client.count("tabs changed a cart at once")
    got = _quantities(shown)
    for sku, quantities in wanted.items():
        if got.get(sku, 0) not in quantities:
            there = f"{sorted(quantities)} of {sku} were acknowledged, {got.get(sku, 0)} are there"
            shopper.client.complain("cart", subject=shown["id"], text=there)


async def _check_late_line(shopper: Shopper, cart: str, sku: str, order: Any) -> None:
    """What was put into a cart while it was being ordered is in the order, in the cart, or in its successor."""
    shopper.client.count("a line came while its cart was ordered")
    shown = await shopper.client.get(f"/carts/{cart}")
    if shown is None or sku in _quantities(shown) or any(line["sku"] == sku for line in order["lines"]):
        return
    following = await shopper.client.get(f"/carts/{shown['successor']}") if shown["successor"] else {"lines": []}
    if following is not None and sku not in _quantities(following):
        shopper.client.complain("cart", subject=cart, text=f"{sku} was acknowledged, and is in neither order nor cart")


async def _cancel_the_newest(shopper: Shopper) -> None:
    """See an order in one's list before its answer has come, and cancel it."""
    await shopper.client.pause(IMPATIENCE_S)
    page = await shopper.client.get("/orders?limit=3")
    for item in page["items"][:1] if page is not None else ():
        reply = await shopper.client.insist(shopper.cancelling(item["id"]))
        if reply is not None and reply.status == 200:
            shopper.client.count("cancelled while it was being placed")


async def _after(shopper: Shopper, seconds: float, request: Any) -> Reply | None:
    await shopper.client.pause(seconds)
    reply = await shopper.client.once(request)
    return reply if reply is not None and is_certain(reply) and not code_of(reply.body) else None
