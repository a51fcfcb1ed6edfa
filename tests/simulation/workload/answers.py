"""Which answers a shop may give, whatever breaks under it; everything else is a complaint.

This is the one place that says which statuses are legal. A shop under faults may be silent or answer with one of
`FAULTS`; it may refuse with a code that the route's meaning allows (`REFUSALS`). A 500 is never right: whatever breaks
around the shop has a name in `FAULTS`. What it grants must add up by itself.
"""

from collections.abc import Iterable
from typing import Any

from tests.simulation.workload.door import Reply

FAULTS = frozenset({(503, "fault.unavailable"), (503, "fault.deadline"), (503, "storage.busy"), (507, "storage.full")})
"""How the shop says that it does not know."""
PROXY_FAULTS = frozenset({502, 503, 504})
"""Without a body of ours they come from something in between."""
ALWAYS = frozenset({"idempotency.in_flight"})
CART = frozenset({"carts.closed", "carts.not_for_sale"})
REFUSALS: dict[str, frozenset[str]] = {
    "POST /orders": frozenset(
        {
            "payments.declined",
            "inventory.out_of_stock",
            "orders.cart_empty",
            "orders.cart_ordered",
            "orders.conflict",
            "orders.not_for_sale",
            "orders.quote_changed",
        }
    ),
    "POST /flash-sales/*/orders": frozenset(
        {
            "payments.declined",
            "inventory.out_of_stock",
            "orders.conflict",
            "orders.not_for_sale",
            "promotions.sold_out",
            "promotions.over_limit",
            "promotions.in_line",
            "promotions.line_full",
        }
    ),
    "POST /orders/*/cancel": frozenset({"orders.conflict"}),
    "PUT /carts/*/lines/*": CART,
    "PUT /carts/*/currency": CART,
    "POST /carts/*/claim": CART,
    "GET /carts/*": frozenset({"carts.not_for_sale", "carts.delivery_not_offered"}),
    "POST /users": frozenset({"users.email_taken", "users.busy"}),
    "POST /sessions": frozenset({"users.busy"}),
    "PUT /admin/inventory/*": frozenset({"inventory.below_reserved", "inventory.version_conflict"}),
    "PATCH /admin/products/*": frozenset({"products.version_conflict"}),
    "POST /admin/orders/*/fulfilments": frozenset({"orders.conflict", "orders.too_many"}),
    "POST /admin/orders/*/refunds": frozenset({"orders.conflict", "orders.too_many", "payments.refund_too_large"}),
}
KEPT: dict[str, frozenset[str]] = {
    "POST /orders": frozenset({"payments.declined", "inventory.out_of_stock"}),
    "POST /flash-sales/*/orders": frozenset({"payments.declined", "inventory.out_of_stock"}),
    "POST /orders/*/cancel": frozenset(),
    "POST /admin/orders/*/fulfilments": frozenset(),
    "POST /admin/orders/*/refunds": frozenset({"payments.refund_too_large"}),
    "POST /admin/products": frozenset(),
    "PUT /admin/inventory/*": frozenset(),
}
"""The refusals that are bound to the key as what was granted is. Others came before anything was written down, and a
repetition may meet with another shop."""
BECOMES: dict[str, frozenset[str]] = {
    "pending": frozenset({"pending", "placed", "rejected", "cancelled", "completed"}),
    "placed": frozenset({"placed", "cancelled", "completed"}),
    "rejected": frozenset({"rejected"}),
    "cancelled": frozenset({"cancelled"}),
    "completed": frozenset({"completed"}),
}
"""What an order may be later, in one step or several."""
CANCELLED_BY = ("buyer", "staff")
"""An order may be cancelled, or even sent out, before its buyer hears that it was placed."""
_NAMES_AFTER = frozenset({"orders", "carts", "lines", "products", "inventory", "flash-sales"})


def route_of(verb: str, path: str) -> str:
    """`PUT /carts/*/lines/*`: the verb, and the path with stars for names."""
    parts = path.partition("?")[0].strip("/").split("/")
    for index in range(1, len(parts)):
        if parts[index - 1] in _NAMES_AFTER and (verb, parts[index]) != ("GET", "current"):
            parts[index] = "*"
    return f"{verb} /{'/'.join(parts)}"


def thing_of(verb: str, path: str, answer: Any) -> str:
    """What an answer is about, however it is asked for: `orders/17`, `carts/18`, `inventory/MUG`, `products/19`; or
    nothing, where an answer has no version."""
    parts = path.partition("?")[0].strip("/").removeprefix("admin/").split("/")
    if parts[0] not in ("orders", "carts", "inventory", "products") or not isinstance(answer, dict):
        return ""
    if not isinstance(answer.get("version"), int):
        return ""
    name = parts[1] if len(parts) > 1 and parts[0] == "inventory" else str(answer.get("id", ""))
    return f"{parts[0]}/{name.partition('-')[0] if parts[0] != 'inventory' else name}"


def wrong_with_change(one: tuple[int, str], other: tuple[int, str]) -> str | None:
    """Two versions of an order with their states, in whichever order they were told."""
    (version, before), (later, after) = sorted((one, other))
    if version == later and before != after:
        return f"version {version} is {before} and {after}"
    if after not in BECOMES[before]:
        return f"{before} in version {version}, {after} in version {later}"
    return None


def code_of(answer: Any) -> str:
    return str(answer.get("code", "")) if isinstance(answer, dict) else ""


def is_certain(reply: Reply) -> bool:
    """The shop has given its word; 429 asks for another try."""
    return reply.status < 500 and reply.status != 429 and code_of(reply.body) != "idempotency.in_flight"


def is_kept(verb: str, path: str, reply: Reply) -> bool:
    """Whether the same key must give this answer for ever."""
    refusals = KEPT.get(route_of(verb, path))
    if refusals is None or not is_certain(reply):
        return False
    return reply.status < 300 or code_of(reply.body) in refusals


def essence(reply: Reply) -> Any:
    """What of an answer must come again, word for word: all of it but texts for people."""
    body = reply.body
    if isinstance(body, dict) and "code" in body:
        body = {name: value for name, value in body.items() if name not in ("title", "detail", "correlation")}
    return [reply.status, body]


def wrong_with(verb: str, path: str, body: Any, reply: Reply, *, expects: Iterable[str] = ()) -> str | None:
    """What no shop may say, in words; None where all is well."""
    code = code_of(reply.body)
    if reply.status >= 500:
        if (reply.status, code) in FAULTS or (not code and reply.status in PROXY_FAULTS):
            return None
        return f"a fault without a name: {reply.status} {code}"
    if reply.status >= 400:
        if not code:
            return f"{reply.status} without a code"
        if code in ALWAYS or code in expects or code in REFUSALS.get(route_of(verb, path), frozenset()):
            return None
        return f"refused for no good reason: {reply.status} {reply.body}"
    try:
        return _wrong_with_grant(route_of(verb, path), body, reply)
    except (KeyError, TypeError, IndexError) as error:
        return f"an answer that cannot be read ({error!r}): {reply.body!r}"


def _wrong_with_grant(route: str, body: Any, reply: Reply) -> str | None:
    answer = reply.body
    match route.split("/")[1:]:
        case ["orders"] | ["flash-sales", "*", "orders"] if route.startswith("POST"):
            return wrong_with_new_order(body, answer)
        case ["orders", "*"] | ["orders", "*", "cancel"] | ["admin", "orders", "*", _]:
            return None if route.endswith("/history") else wrong_with_order(answer)
        case ["orders"] | ["admin", "orders"]:
            return _wrong_with_page(answer)
        case ["carts"] | ["carts", "*"] | ["carts", "current"] | ["carts", "*", _] | ["carts", "*", _, _]:
            return wrong_with_cart(answer)
        case ["admin", "inventory", "*"]:
            return wrong_with_stock(answer)
    return None


def wrong_with_new_order(asked: Any, order: Any) -> str | None:
    """An order just made is what was asked for, and its money is not known to be refused."""
    if order["status"] == "rejected" or (order["status"] == "cancelled" and order["reason"] not in CANCELLED_BY):
        return f"a new order is {order['status']}: {order['reason']}"
    if asked["payment"]["token"] == "tok_declined" and order["status"] in ("placed", "completed"):
        return "an order without money"
    if lines := asked.get("lines"):
        wanted: dict[str, int] = {}
        for line in lines:
            wanted[line["sku"]] = wanted.get(line["sku"], 0) + line["quantity"]
        if wanted != (got := {line["sku"]: line["quantity"] for line in order["lines"]}):
            return f"asked for {wanted}, ordered {got}"
        if (currency := asked.get("currency")) and order["currency"] != currency:
            return f"asked for {currency}, ordered in {order['currency']}"
    return wrong_with_order(order)


def wrong_with_order(order: Any) -> str | None:
    """Sums, and what was captured and given back."""
    if order["status"] not in ("pending", "placed", "rejected", "cancelled", "completed"):
        return f"an order is {order['status']}"
    if (said := _wrong_sums(order)) is not None:
        return said
    total = order["total"]["amount"]
    if sum(payment["captured"] for payment in order["payments"]) > total:
        return f"more was captured than {total}"
    for payment in order["payments"]:
        if not 0 <= payment["refunded"] <= payment["captured"]:
            return f"of {payment['captured']} captured, {payment['refunded']} were refunded"
    back = sum(
        refund["amount"]["amount"] for refund in order["refunds"] if refund["state"] not in ("failed", "refused")
    )
    if back > total:
        return f"{back} of {total} are given back"
    for line in order["lines"]:
        if line["fulfilled"] > line["quantity"] or line["returned"] > line["quantity"]:
            return f"more pieces of {line['sku']} went out or came back than were ordered"
    return None


def wrong_with_cart(cart: Any) -> str | None:
    """Each sku stands there once, with some pieces, and the quote adds up."""
    skus = [line["sku"] for line in cart["lines"]]
    if len(set(skus)) != len(skus):
        return f"a cart with the same sku twice: {skus}"
    if any(line["quantity"] < 1 for line in cart["lines"]):
        return "a line without pieces"
    priced = {line["sku"]: line["quantity"] for line in cart["quote"]["lines"]}
    shown = {line["sku"]: line["quantity"] for line in cart["lines"] if line["sku"] not in cart["unavailable"]}
    if priced != shown:
        return f"the cart holds {shown}, the quote prices {priced}"
    return _wrong_sums(cart["quote"])


def wrong_with_stock(stock: Any) -> str | None:
    """Always `on_hand = available + reserved`, nothing below zero, and the levels sum up."""
    for level in (stock, *stock["levels"]):
        if level["on_hand"] != level["available"] + level["reserved"]:
            return f"on hand is not available and reserved: {level}"
        if min(level["on_hand"], level["available"], level["reserved"], level["sold"]) < 0:
            return f"below zero: {level}"
    for name in ("on_hand", "available", "reserved", "sold"):
        if stock[name] != sum(level[name] for level in stock["levels"]):
            return f"the levels do not sum up to {name}"
    return None


def _wrong_sums(priced: Any) -> str | None:
    for line in priced["lines"]:
        if line["quantity"] * line["unit_price"]["amount"] != line["total"]["amount"]:
            return f"{line['quantity']} at {line['unit_price']} are not {line['total']}"
    subtotal, total = priced["subtotal"]["amount"], priced["total"]["amount"]
    if subtotal != sum(line["total"]["amount"] for line in priced["lines"]):
        return f"the lines are not {subtotal}"
    added = sum(step["amount"]["amount"] for step in priced["adjustments"] if not step["included"])
    if subtotal + added != total:
        return f"{subtotal} and {added} are not {total}"
    return None


def _wrong_with_page(page: Any) -> str | None:
    names = [item["id"] for item in page["items"]]
    return f"a page with the same order twice: {names}" if len(set(names)) != len(names) else None
