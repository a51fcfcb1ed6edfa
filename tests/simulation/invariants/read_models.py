"""Read models: what home, search, notifications and the shown availability say is what products and orders know."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from hansa.services.home import rules as home_rules
from tests.simulation.invariants.evidence import Evidence
from tests.simulation.invariants.invariant import Finding, invariant
from tests.simulation.invariants.orders import statuses_in_history
from tests.simulation.invariants.pieces import LIVING

CONFIRMATION = "order-placed"
MAIL_ENDS = frozenset({"sent", "failed", "dropped"})
_decode = msgspec.json.Decoder().decode


@invariant("availability.is_shown")
def availability_is_shown(evidence: Evidence) -> Iterator[Finding]:
    """A variant is shown as available if, and only if, some location has a piece that is not reserved."""
    there: dict[tuple[str, str], int] = Counter()
    for row in evidence.rows("inventory", "stock"):
        there[row["sku"], row["location"]] += row["on_hand"] - row["reserved"]
    said = {
        (row["sku"], row["location"]): bool(row["is_available"])
        for row in evidence.rows("products", "variant_availability")
    }
    for place in there.keys() | said.keys():
        if said.get(place, False) != (there[place] > 0):
            yield place[0], f"{there[place]} pieces at {place[1]}, and products heard {said.get(place)}"
    can_be_had = {sku for (sku, _), pieces in there.items() if pieces > 0}
    for row in evidence.rows("products", "variants"):
        if bool(row["is_available"]) != (row["sku"] in can_be_had):
            shown = "available" if row["is_available"] else "not available"
            yield row["sku"], f"shown as {shown}, and {'some' if row['sku'] in can_be_had else 'none'} can be had"


@invariant("home.cards")
def home_cards(evidence: Evidence) -> Iterator[Finding]:
    """Home knows every product at its latest version, with its variants' availability."""
    cards = {row["product_id"]: row for row in evidence.rows("home", "cards")}
    variants = {(row["product_id"], row["sku"]): row for row in evidence.rows("home", "variants")}
    can_be_had = set()
    for row in evidence.rows("products", "variants"):
        key = row["product_id"], row["sku"]
        truth = (bool(row["is_available"]), row["availability_version"], not row["is_retired"])
        known = variants.pop(key, None)
        if known is None or (bool(known["is_available"]), known["version"], bool(known["is_on_sale"])) != truth:
            yield key[0], f"{key[1]}: products say {truth}, home {known and dict(known)}"
        if truth[0] and truth[2]:
            can_be_had.add(key[0])
    for key in variants:
        yield key[0], f"home has a variant {key[1]} that products do not have"
    for row in evidence.rows("products", "products"):
        product_id = row["product_id"]
        card = cards.pop(product_id, None)
        facts = (row["version"], row["status"] == "active", product_id in can_be_had, row["category"] or "")
        if card is None:
            yield product_id, "home has no card of it"
            continue
        shown = (card["version"], bool(card["is_active"]), bool(card["is_available"]), card["category"])
        if shown != facts:
            yield product_id, f"version, active, available, category: home has {shown}, products {facts}"
        if _decode(card["face"]).get("slug") != row["slug"]:
            yield product_id, "home has another slug"
    for product_id in cards:
        yield product_id, "home has a card of a product that is not there"


@invariant("home.sales")
def home_sales(evidence: Evidence) -> Iterator[Finding]:
    """Home counts the pieces of placed and completed orders, each once, and no others."""
    statuses = {row["order_id"]: row["status"] for row in evidence.rows("orders", "orders")}
    bought: Counter[int] = Counter()
    of_order: dict[int, Counter[str]] = defaultdict(Counter)
    for line in evidence.rows("orders", "order_lines"):
        if statuses.get(line["order_id"]) in LIVING:
            bought[line["product_id"]] += line["quantity"]
            of_order[line["order_id"]][str(line["product_id"])] += line["quantity"]
    sales: Counter[int] = Counter()
    for row in evidence.rows("home", "sales"):
        sales[row["product_id"]] += row["pieces"]
    cards = {row["product_id"]: row["sold"] for row in evidence.rows("home", "cards")}
    for product_id in bought.keys() | sales.keys() | cards.keys():
        told = (sales[product_id], cards.get(product_id, 0))
        if told != (bought[product_id], bought[product_id]):
            yield product_id, f"{bought[product_id]} were bought; home's sales and card say {told}"
    known = {row["order_id"]: row for row in evidence.rows("home", "orders")}
    for order_id in of_order.keys() | known.keys():
        counted = known.get(order_id)
        if counted is None or (not counted["is_cancelled"]) != (order_id in of_order):
            yield order_id, f"the order is {statuses.get(order_id)}, and home has {counted and dict(counted)}"
        elif order_id in of_order and _decode(counted["pieces"]) != of_order[order_id]:
            yield order_id, f"home has the pieces {counted['pieces']}"


@invariant("home.shelves")
def home_shelves(evidence: Evidence) -> Iterator[Finding]:
    """Products stand on the shelves where their cards belong, and categories count what is in them."""
    wanted: dict[tuple[int, str], int] = {}
    counted: Counter[str] = Counter()
    for row in evidence.rows("home", "cards"):
        places = home_rules.places(
            is_active=bool(row["is_active"]),
            is_available=bool(row["is_available"]),
            has_picture=row["picture"] is not None,
            category=row["category"],
            made_at=row["made_at"],
            sold=row["sold"],
        )
        wanted.update({(row["product_id"], shelf): score for shelf, score in places.items()})
        counted.update(home_rules.counted_in(is_active=bool(row["is_active"]), category=row["category"]))
    stands = {(row["product_id"], row["shelf"]): row["score"] for row in evidence.rows("home", "shelves")}
    for place in wanted.keys() | stands.keys():
        if wanted.get(place) != stands.get(place):
            yield place[0], f"on the shelf {place[1]} with {stands.get(place)} instead of {wanted.get(place)}"
    told = {row["path"]: row["products"] for row in evidence.rows("home", "categories")}
    for path in counted.keys() | told.keys():
        if counted[path] != told.get(path, 0):
            yield path, f"{counted[path]} products in the category, and home counts {told.get(path)}"


@invariant("search.documents")
def search_documents(evidence: Evidence) -> Iterator[Finding]:
    """Search has every product's latest record, with its variants and the prices that were stated last."""
    documents = {row["product_id"]: row for row in evidence.rows("search", "documents")}
    skus: dict[int, set[str]] = defaultdict(set)
    for row in evidence.rows("products", "variants"):
        if not row["is_retired"]:
            skus[row["product_id"]].add(row["sku"])
    prices: dict[tuple[int, str, str], tuple[int, int, int]] = {}
    for row in evidence.rows("products", "prices"):
        if row["minimum_quantity"] == 1 and row["valid_to"] is None and row["price_list"] == "main":
            key = row["product_id"], row["sku"], row["currency"]
            prices[key] = max(prices.get(key, (0, 0, 0)), (row["valid_from"], row["version"], row["amount"]))
    for row in evidence.rows("products", "products"):
        product_id = row["product_id"]
        document = documents.pop(product_id, None)
        if document is None or document["version"] != row["version"]:
            yield product_id, f"version {row['version']}, and search has {document and document['version']}"
            continue
        record = _decode(document["record"])
        said = (record["slug"], record.get("status", "active"), {it["sku"] for it in record["variants"]})
        if said != (row["slug"], row["status"], skus[product_id]) or bool(document["is_active"]) != (
            row["status"] == "active"
        ):
            yield product_id, f"search says {said}, products {row['slug']} {row['status']} {skus[product_id]}"
        for variant in record["variants"]:
            stated = [it for it in variant.get("prices", ()) if _is_plain(it)]
            for currency in {it["currency"] for it in stated}:
                # What is dated wins over what simply holds, as soon as it has begun.
                _, amount = max((it["valid_from"] or "", it["amount"]) for it in stated if it["currency"] == currency)
                newest = prices.get((product_id, variant["sku"], currency), (0, 0, 0))[2]
                if newest != amount:
                    yield product_id, f"{variant['sku']} costs {newest} {currency}, and search has {amount}"
    for product_id in documents:
        yield product_id, "search has a product that is not there"


def _is_plain(price: Mapping[str, Any]) -> bool:
    """Whether it is for everybody, and for good once it has begun."""
    return (price["price_list"], price["minimum_quantity"], price["valid_to"]) == ("main", 1, None)


@invariant("search.availability")
def search_availability(evidence: Evidence) -> Iterator[Finding]:
    """Search knows which variants can be had."""
    heard = {
        (row["product_id"], row["sku"]): (bool(row["is_available"]), row["version"])
        for row in evidence.rows("search", "availabilities")
    }
    for row in evidence.rows("products", "variants"):
        truth = (bool(row["is_available"]), row["availability_version"])
        known = heard.pop((row["product_id"], row["sku"]), (False, 0))
        if known != truth:
            yield row["product_id"], f"{row['sku']}: products say {truth}, search {known}"
    for product_id, sku in heard:
        yield product_id, f"search has a variant {sku} that products do not have"


@invariant("notifications.one_mail")
def one_mail(evidence: Evidence) -> Iterator[Finding]:
    """Every order that was placed has one confirmation, which says its total, and no other order has any."""
    placed = {order_id for order_id, steps in statuses_in_history(evidence).items() if "placed" in steps}
    totals = {row["order_id"]: row["total"] for row in evidence.rows("orders", "orders")}
    mails: Counter[int] = Counter()
    for row in evidence.rows("notifications", "mails"):
        if row["kind"] == CONFIRMATION:
            mails[row["order_id"]] += 1
            if _decode(row["facts"])["total"]["amount"] != totals.get(row["order_id"]):
                yield row["order_id"], f"the mail says another total than {totals.get(row['order_id'])}"
    for order_id in placed | mails.keys():
        if mails[order_id] != (order_id in placed):
            was = "was" if order_id in placed else "was never"
            yield order_id, f"the order {was} placed, and has {mails[order_id]} confirmations"


@invariant("notifications.mails_end")
def mails_end(evidence: Evidence) -> Iterator[Finding]:
    """No mail is still to be sent."""
    for row in evidence.rows("notifications", "mails"):
        if row["state"] not in MAIL_ENDS:
            yield row["order_id"], f"the mail is {row['state']} after {row['attempts']} attempts"


CHECKS = (
    availability_is_shown,
    home_cards,
    home_sales,
    home_shelves,
    search_documents,
    search_availability,
    one_mail,
    mails_end,
)
