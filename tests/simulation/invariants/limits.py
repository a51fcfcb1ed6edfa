"""Limits: what nobody may have more of."""

from collections import Counter
from collections.abc import Iterator

from hansa.services.carts.contract import LARGEST_QUANTITY
from hansa.services.carts.contract import MOST_LINES as MOST_CART_LINES
from hansa.services.orders.contract import MOST_LINES as MOST_ORDER_LINES
from hansa.services.orders.rules.drafts import MOST_PIECES
from tests.simulation.invariants.evidence import Evidence
from tests.simulation.invariants.invariant import Finding, invariant


@invariant("limits.lines")
def lines(evidence: Evidence) -> Iterator[Finding]:
    """No line of a cart or an order has more pieces, and none of them more lines, than are allowed."""
    for service, table, owner, most_pieces, most_lines in (
        ("carts", "cart_lines", "cart_id", LARGEST_QUANTITY, MOST_CART_LINES),
        ("orders", "order_lines", "order_id", MOST_PIECES, MOST_ORDER_LINES),
    ):
        counts: Counter[int] = Counter()
        for row in evidence.rows(service, table):
            counts[row[owner]] += 1
            if not 0 < row["quantity"] <= most_pieces:
                yield row[owner], f"{row['quantity']} of {row['sku']}"
        for name, number in counts.items():
            if number > most_lines:
                yield name, f"{number} lines"


@invariant("limits.one_open_cart")
def one_open_cart(evidence: Evidence) -> Iterator[Finding]:
    """A member has at most one open cart, and it is the one that is known as theirs."""
    known = {row["member"]: row["cart_id"] for row in evidence.rows("carts", "member_carts")}
    opened: Counter[int] = Counter()
    for row in evidence.rows("carts", "carts"):
        if row["member"] is not None and row["is_open"]:
            opened[row["member"]] += 1
            if known.get(row["member"]) != row["cart_id"]:
                yield row["member"], f"the cart {row['cart_id']} is open, and {known.get(row['member'])} is theirs"
    for member in known:
        if opened[member] != 1:
            yield member, f"{opened[member]} open carts"


@invariant("limits.accounts")
def accounts(evidence: Evidence) -> Iterator[Finding]:
    """An e-mail address, a slug and a sku belong to one account or product that is there."""
    users = {row["user_id"] for row in evidence.rows("users", "users")}
    owners: Counter[int] = Counter(row["user_id"] for row in evidence.rows("users", "identities"))
    for user_id in owners.keys() | users:
        if user_id not in users or owners[user_id] > 1:
            yield (
                user_id,
                f"{owners[user_id]} addresses of an account that is {'' if user_id in users else 'not '}there",
            )
    products = {row["product_id"]: row["slug"] for row in evidence.rows("products", "products")}
    slugs = {row["slug"]: row["product_id"] for row in evidence.rows("products", "slugs")}
    for product_id, slug in products.items():
        if slugs.get(slug) != product_id:
            yield product_id, f"its slug {slug} belongs to {slugs.get(slug)}"
    owned = {row["sku"]: row["product_id"] for row in evidence.rows("products", "skus")}
    for row in evidence.rows("products", "variants"):
        if owned.get(row["sku"]) != row["product_id"]:
            yield row["product_id"], f"its sku {row['sku']} belongs to {owned.get(row['sku'])}"


CHECKS = (lines, one_open_cart, accounts)
