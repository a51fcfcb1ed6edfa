"""Promises: whatever a client was told has been done is found in the rows, and what was shown is what was charged."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from tests.simulation.invariants.evidence import Evidence, RowDict
from tests.simulation.invariants.invariant import Finding, invariant
from tests.simulation.invariants.shapes import certain, identified, is_granted, seen
from tests.simulation.workload.door import Operation

TERMS = {"valid_from": None, "valid_to": None, "minimum_quantity": 1, "price_list": "main"}
"""Of a price that simply holds for everybody from now on."""
DEEDS = {"fulfilments": "orders.fulfil", "refunds": "orders.refund"}
"""What the staff ask for, by the end of the path, as the audit calls it."""


@invariant("promises.products_last")
def products_last(evidence: Evidence) -> Iterator[Finding]:
    """A product that a member of the staff was told of is there at that version or a later one, with its prices."""
    rows = {row["product_id"]: row for row in evidence.rows("products", "products")}
    names = {(r["product_id"], r["locale"]): r["name"] for r in evidence.rows("products", "product_texts")}
    prices = {
        (row["product_id"], row["sku"], row["currency"], row["amount"]) for row in evidence.rows("products", "prices")
    }
    for operation, record in seen(evidence, "product"):
        product_id, draft = identified(record), record["draft"]
        row = rows.get(product_id)
        if row is None or row["version"] < record["version"]:
            yield product_id, f"version {record['version']} was told, and it is {row and row['version']}"
            continue
        for variant in draft["variants"]:
            for price in variant.get("prices", ()):
                if (product_id, variant["sku"], price["currency"], price["amount"]) not in prices:
                    told = f"{price['amount']} {price['currency']} for {variant['sku']}"
                    yield product_id, f"operation {operation.number} was told {told}, which is not in the books"
        if row["version"] == record["version"]:
            said = (draft["slug"], draft.get("status", "active"), draft.get("brand"))
            if said != (row["slug"], row["status"], row["brand"]):
                yield product_id, f"version {row['version']} was told as {said}"
            for locale, text in draft["texts"].items():
                if names.get((product_id, locale)) != text["name"]:
                    yield product_id, f"the name {text['name']!r} ({locale}) was told"


@invariant("promises.last_price_holds")
def last_price_holds(evidence: Evidence) -> Iterator[Finding]:
    """A price that was stated last, to hold from now on, and acknowledged is the one that holds."""
    versions = {row["product_id"]: row["version"] for row in evidence.rows("products", "products")}
    holds: dict[tuple[int, str, str], tuple[int, int, int]] = {}
    for row in evidence.rows("products", "prices"):
        if (row["price_list"], row["minimum_quantity"], row["valid_to"]) == ("main", 1, None):
            key = row["product_id"], row["sku"], row["currency"]
            holds[key] = max(holds.get(key, (0, 0, 0)), (row["valid_from"], row["version"], row["amount"]))
    last: dict[int, Operation] = {}
    for operation, record in seen(evidence, "product"):
        product_id = identified(record)
        if operation.verb != "GET" and record["version"] == versions.get(product_id):
            last[product_id] = operation
    for product_id, operation in last.items():
        simply: dict[tuple[int, str, str], int] = {}
        dated: set[tuple[int, str, str]] = set()
        for variant in (operation.body or {}).get("variants", ()):
            for price in variant.get("prices", ()):
                key = product_id, variant["sku"], price["currency"]
                if any(price.get(name, plain) != plain for name, plain in TERMS.items()):
                    dated.add(key)
                else:
                    simply[key] = price["amount"]
        for key in simply.keys() - dated:
            if key in holds and holds[key][2] != simply[key]:
                told = f"{simply[key]} {key[2]} in operation {operation.number}"
                yield product_id, f"{key[1]} was to cost {told}, and costs {holds[key][2]}"


@invariant("promises.stock_lasts")
def stock_lasts(evidence: Evidence) -> Iterator[Finding]:
    """A stock that a member of the staff was told of stands in the ledger: at some line it was exactly that."""
    states: dict[tuple[str, str], set[tuple[int, int, int]]] = defaultdict(set)
    versions: dict[str, int] = defaultdict(int)
    sums: dict[tuple[str, str], tuple[int, int, int]] = {}
    for row in sorted(evidence.rows("inventory", "movements"), key=lambda row: int(row["version"])):
        place = row["sku"], row["location"]
        on_hand, reserved, sold = sums.get(place, (0, 0, 0))
        sums[place] = on_hand + row["on_hand"], reserved + row["reserved"], sold + row["sold"]
        states[place].add(sums[place])
        versions[row["sku"]] += 1
    for operation, stock in seen(evidence, "stock"):
        if versions[stock["sku"]] < stock["version"]:
            yield stock["sku"], f"version {stock['version']} was told, and it is {versions[stock['sku']]}"
        for level in stock["levels"]:
            told = level["on_hand"], level["reserved"], level["sold"]
            if told not in states[stock["sku"], level["location"]]:
                counted = f"on hand {told[0]}, reserved {told[1]}, sold {told[2]}"
                yield stock["sku"], f"operation {operation.number} was told {counted}, which the ledger never made"


@invariant("promises.counts_count")
def counts_count(evidence: Evidence) -> Iterator[Finding]:
    """Whoever says how many pieces were counted, and is heard, is told that many."""
    for operation in certain(evidence, "PUT"):
        if operation.path.startswith("/admin/inventory/") and is_granted(operation):
            location = operation.body.get("location", "main")
            told = next((it["on_hand"] for it in operation.answer["levels"] if it["location"] == location), None)
            if told != operation.body["on_hand"]:
                yield operation.answer["sku"], f"{operation.body['on_hand']} were counted, and {told} are on hand"


@invariant("promises.members_last")
def members_last(evidence: Evidence) -> Iterator[Finding]:
    """An account that somebody was told of is there, and so is an address that nobody has removed."""
    users = {row["user_id"] for row in evidence.rows("users", "users")}
    addresses = {row["saved_id"] for row in evidence.rows("users", "addresses")}
    removed = {
        operation.path.rpartition("/")[2]
        for operation in evidence.operations
        if operation.verb == "DELETE" and operation.path.startswith("/users/me/addresses/")
    }
    for operation in certain(evidence, "POST"):
        if not is_granted(operation):
            continue
        if operation.path == "/users" and identified(operation.answer) not in users:
            yield operation.answer["id"], f"operation {operation.number} made an account, and it is lost"
        if operation.path == "/sessions" and int(operation.answer["user"]["id"]) not in users:
            yield operation.answer["user"]["id"], f"operation {operation.number} signed in to an account that is lost"
        if operation.path == "/users/me/addresses":
            saved = operation.answer["id"]
            if saved not in removed and int(saved) not in addresses:
                yield saved, f"operation {operation.number} saved an address, and it is lost"


@invariant("promises.refunds_last")
def refunds_last(evidence: Evidence) -> Iterator[Finding]:
    """Every refund that was granted to the staff stands among what they asked for, with its amount."""
    asked: dict[int, list[RowDict]] = defaultdict(list)
    for row in evidence.rows("orders", "refund_requests"):
        asked[row["order_id"]].append(row)
    granted: dict[tuple[int, str], Operation] = {}
    for operation in certain(evidence, "POST"):
        if is_granted(operation) and operation.path.endswith("/refunds"):
            granted.setdefault((identified(operation.answer), operation.key), operation)
    wanted: dict[int, list[Any]] = defaultdict(list)
    for (order_id, _), operation in granted.items():
        wanted[order_id].append((operation.body or {}).get("amount"))
    for order_id, amounts in wanted.items():
        amounts_known = [row["amount"] for row in asked[order_id]]
        for amount in amounts:
            if amount in amounts_known:
                amounts_known.remove(amount)
            else:
                yield order_id, f"a refund of {amount or 'all'} was granted, and nobody knows of it"


@invariant("promises.cart_lines_last")
def cart_lines_last(evidence: Evidence) -> Iterator[Finding]:
    """Of a cart that one person fills, one step after the other, each line holds what was acknowledged last; of a step
    without an answer it may be either."""
    rows = {row["cart_id"]: row for row in evidence.rows("carts", "carts")}
    held = {(row["cart_id"], row["sku"]): row["quantity"] for row in evidence.rows("carts", "cart_lines")}
    merged = {row["merged_into"] for row in rows.values()} | {row["continued_in"] for row in rows.values()}
    for (name, sku), writes in _cart_writes(evidence).items():
        cart_id = int(name)
        begun = {it.key: it.number for it in reversed(writes)}  # a repetition of an older step does nothing again
        last = max((it for it in writes if is_granted(it)), key=lambda it: begun[it.key], default=None)
        if last is None or not _is_sequence(writes):
            continue
        row = rows.get(cart_id)
        if row is None:
            yield cart_id, f"operation {last.number} put {sku} into it, and it is lost"
        elif row["is_open"] and cart_id not in merged:
            may_hold = {last.body["quantity"], *(it.body["quantity"] for it in writes if not it.is_certain)}
            if held.get((cart_id, sku), 0) not in may_hold:
                yield cart_id, f"{sorted(may_hold)} of {sku} were put into it, and it holds {held.get((cart_id, sku))}"


@invariant("promises.late_lines_go_on")
def late_lines_go_on(evidence: Evidence) -> Iterator[Finding]:
    """What was put into a cart and acknowledged is in its order, or in the cart that goes on for it."""
    rows = {row["cart_id"]: row for row in evidence.rows("carts", "carts")}
    held = {(row["cart_id"], row["sku"]): row["quantity"] for row in evidence.rows("carts", "cart_lines")}
    order_of = {row["cart_id"]: row["order_id"] for row in evidence.rows("orders", "order_carts")}
    bought = {(row["order_id"], row["sku"]): row["quantity"] for row in evidence.rows("orders", "order_lines")}
    written = _cart_writes(evidence)
    for (name, sku), writes in written.items():
        row = rows.get(int(name))
        if row is None or row["is_open"] or row["merged_into"] is not None or not _is_sequence(writes):
            continue
        last = max((it for it in writes if is_granted(it)), key=lambda it: it.number, default=None)
        if last is None or any(not it.is_certain for it in writes):
            continue
        ordered = bought.get((order_of.get(row["cart_id"], 0), sku), 0)
        left = last.body["quantity"] - ordered
        following = row["continued_in"]
        if left <= 0 or (str(following), sku) in written:
            continue
        successor = rows.get(following) if following is not None else None
        if successor is not None and not successor["is_open"]:
            continue  # ordered or merged in its turn
        if held.get((following, sku), 0) < left:
            last_put = f"{last.body['quantity']} of {sku} were put into it, {ordered} were ordered"
            yield row["cart_id"], f"{last_put}, and {held.get((following, sku), 0)} went on in the cart {following}"


def _cart_writes(evidence: Evidence) -> dict[tuple[str, str], list[Operation]]:
    """By cart and sku: everything that was asked to be put there, in the order in which it was asked."""
    writes: dict[tuple[str, str], list[Operation]] = defaultdict(list)
    for operation in evidence.operations:
        if operation.verb == "PUT" and operation.path.startswith("/carts/"):
            parts = operation.path.partition("?")[0].split("/")
            if len(parts) == 5 and parts[3] == "lines":
                writes[parts[2].partition("-")[0], parts[4]].append(operation)
    return writes


def _is_sequence(writes: list[Operation]) -> bool:
    """One person's steps, none begun before the one before it had ended."""
    return all(
        after.actor == before.actor and before.ended is not None and before.ended <= after.began
        for before, after in pairwise(writes)
    )


@invariant("promises.shown_is_charged")
def shown_is_charged(evidence: Evidence) -> Iterator[Finding]:
    """Whoever orders by a quote that was shown pays the prices shown, and the very total where it was final."""
    quotes: dict[str, Mapping[str, Any]] = {}
    for _, cart in seen(evidence, "cart"):
        quotes[cart["quote"]["fingerprint"]] = cart["quote"]
    for operation, order in seen(evidence, "order"):
        shown = quotes.get((operation.body or {}).get("quote", "")) if operation.path == "/orders" else None
        if shown is None:
            continue
        prices = {it["sku"]: (it["quantity"], it["unit_price"], it["total"]) for it in shown["lines"]}
        charged = {it["sku"]: (it["quantity"], it["unit_price"], it["total"]) for it in order["lines"]}
        if prices != charged or shown["subtotal"] != order["subtotal"]:
            yield identified(order), f"shown {shown['subtotal']['amount']}, charged {order['subtotal']['amount']}"
        if shown["is_final"] and shown["total"] != order["total"]:
            yield identified(order), f"shown {shown['total']['amount']} in all, charged {order['total']['amount']}"


@invariant("promises.prices_were_stated")
def prices_were_stated(evidence: Evidence) -> Iterator[Finding]:
    """Every price that an order charges was stated for that sku, in that currency, before the order was made."""
    stated: dict[tuple[int, str, str], list[tuple[int, int]]] = defaultdict(list)
    for row in evidence.rows("products", "prices"):
        stated[row["product_id"], row["sku"], row["currency"]].append((row["amount"], row["valid_from"]))
    orders = {row["order_id"]: row for row in evidence.rows("orders", "orders")}
    for line in evidence.rows("orders", "order_lines"):
        order = orders.get(line["order_id"])
        if order is None:
            continue
        prices = stated[line["product_id"], line["sku"], order["currency"]]
        if line["unit_price"] not in {amount for amount, _ in prices}:
            yield line["order_id"], f"{line['sku']} was charged at {line['unit_price']}, which was never its price"


@invariant("promises.deeds_are_audited")
def deeds_are_audited(evidence: Evidence) -> Iterator[Finding]:
    """What the staff did with an order was done once for each key, and each time there is one row of the audit."""
    asked: dict[tuple[str, str], set[str]] = defaultdict(set)
    granted: dict[tuple[str, str], set[str]] = defaultdict(set)
    for operation in evidence.operations:
        parts = operation.path.split("/")
        if operation.verb == "POST" and parts[1:3] == ["admin", "orders"] and parts[-1] in DEEDS:
            name = parts[3], DEEDS[parts[-1]]
            asked[name].add(f"{operation.actor} {operation.key}")
            if is_granted(operation):
                granted[name].add(f"{operation.actor} {operation.key}")
    audited = Counter((row["target"], row["action"]) for row in evidence.rows("orders", "audit"))
    done = Counter((str(row["order_id"]), "orders.fulfil") for row in evidence.rows("orders", "fulfilments"))
    done.update((str(row["order_id"]), "orders.refund") for row in evidence.rows("orders", "refund_requests"))
    for name in {name for name in audited if name[1] in DEEDS.values()} | done.keys() | granted.keys():
        if audited[name] != done[name]:
            yield name[0], f"{name[1]} was done {done[name]} times and audited {audited[name]} times"
        is_watched = bool(evidence.operations)
        if is_watched and not len(granted[name]) <= done[name] <= len(asked[name]):
            said = f"{len(asked[name])} times asked for, {len(granted[name])} times granted"
            yield name[0], f"{name[1]} was {said}, and done {done[name]} times"


CHECKS = (
    deeds_are_audited,
    products_last,
    last_price_holds,
    stock_lasts,
    counts_count,
    members_last,
    refunds_last,
    cart_lines_last,
    late_lines_go_on,
    shown_is_charged,
    prices_were_stated,
)
