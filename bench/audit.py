"""Whether everything is right after a load: pieces, orders, money, and what buyers were told. Says what is wrong."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from bench.books import Books

SOLD = ("placed", "completed")
MOST_SHOWN = 5
"""Examples of each kind of wrong: one fault may show in every row."""
CHECKS: Sequence[tuple[str, str]] = (
    (
        "stock is below zero, or more is promised than there is",
        "SELECT sku, on_hand, reserved, sold FROM inventory.stock "
        "WHERE on_hand < 0 OR reserved < 0 OR sold < 0 OR on_hand < reserved",
    ),
    (
        "the ledger of stock does not add up to the level",
        "SELECT s.sku, s.on_hand, s.reserved, s.sold, s.version, m.on_hand, m.reserved, m.sold, m.lines "
        "FROM inventory.stock s LEFT JOIN "
        "(SELECT slot, sku, location, bucket, sum(on_hand) AS on_hand, sum(reserved) AS reserved, sum(sold) AS sold, "
        "count(*) AS lines FROM inventory.movements GROUP BY slot, sku, location, bucket) m "
        "ON m.slot = s.slot AND m.sku = s.sku AND m.location = s.location AND m.bucket = s.bucket "
        "WHERE coalesce(m.on_hand, 0) <> s.on_hand OR coalesce(m.reserved, 0) <> s.reserved "
        "OR coalesce(m.sold, 0) <> s.sold OR coalesce(m.lines, 0) <> s.version",
    ),
    (
        "pieces are promised to nobody: every order has come to an end",
        "SELECT sku, reserved FROM inventory.stock WHERE reserved <> 0",
    ),
    (
        "pieces sold are not those of orders (sku, sold, ordered)",
        "SELECT coalesce(s.sku, o.sku), coalesce(s.sold, 0), coalesce(o.sold, 0) FROM "
        "(SELECT sku, sum(sold) AS sold FROM inventory.stock GROUP BY sku) s LEFT JOIN "
        "(SELECT l.sku AS sku, sum(l.quantity - l.returned) AS sold FROM orders.order_lines l "
        "JOIN orders.orders p ON p.slot = l.slot AND p.order_id = l.order_id "
        "WHERE p.status IN ('placed', 'completed') GROUP BY l.sku) o ON o.sku = s.sku "
        "WHERE coalesce(s.sold, 0) <> coalesce(o.sold, 0)",
    ),
    (
        "an order was sold of which nothing was ever in stock",
        "SELECT l.sku, l.order_id FROM orders.order_lines l "
        "JOIN orders.orders p ON p.slot = l.slot AND p.order_id = l.order_id "
        "WHERE p.status IN ('placed', 'completed') "
        "AND NOT EXISTS (SELECT 1 FROM inventory.stock s WHERE s.sku = l.sku)",
    ),
    (
        "an order's lines and adjustments are not its subtotal",
        "SELECT o.order_id, o.subtotal, sum(l.total) FROM orders.orders o "
        "JOIN orders.order_lines l ON l.slot = o.slot AND l.order_id = o.order_id "
        "GROUP BY o.order_id, o.subtotal HAVING sum(l.total) <> o.subtotal",
    ),
    (
        "an order is held at another amount by payments (order, total, captured, refunded)",
        "SELECT o.order_id, o.total, i.captured, i.refunded FROM orders.orders o "
        "LEFT JOIN payments.intents i ON i.slot = o.slot AND i.order_id = o.order_id "
        "WHERE o.status IN ('placed', 'completed') AND coalesce(i.captured, 0) - coalesce(i.refunded, 0) <> o.total",
    ),
    *(
        (f"{service} has parked events that nobody could digest", f"SELECT count(*) FROM {service}.dead_letters")
        for service in ("inventory", "payments", "orders")
    ),
)
ORDERS = "SELECT order_id, status, total FROM orders.orders"


class Order(msgspec.Struct, frozen=True):
    """As the orders' own table has it."""

    order_id: int
    status: str
    total: int


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is judged: rows, the provider's books, and the names of the orders that buyers have been told of."""

    orders: Sequence[Order]
    provider: Mapping[str, tuple[int, int, int]]
    acknowledged: Sequence[tuple[str, str]] = ()


async def audit(
    books: Books, *, provider: Mapping[str, tuple[int, int, int]], acknowledged: Sequence[tuple[str, str]] = ()
) -> list[str]:
    """Everything that is wrong with a shop at rest, as sentences; empty if nothing is."""
    wrong: list[str] = []
    for words, statement in CHECKS:
        found = [tuple(row) for row in await books.rows(statement)]
        if words.endswith("nobody could digest"):
            found = [row for row in found if row[0]]
        if found:
            wrong.append(f"{words}: {len(found)} times, such as {found[:MOST_SHOWN]}")
    orders = [Order(*row) for row in await books.rows(ORDERS)]
    return wrong + judge(Evidence(orders=orders, provider=provider, acknowledged=acknowledged))


def judge(evidence: Evidence) -> list[str]:
    """Money by the provider's own books, and whether every acknowledged order is there exactly once."""
    wrong = [*_money(evidence), *_acknowledged(evidence)]
    kinds = Counter(kind for kind, _ in wrong)
    shown: Counter[str] = Counter()
    sentences = []
    for kind, example in wrong:
        shown[kind] += 1
        if shown[kind] == 1:
            sentences.append(f"{kind}: {kinds[kind]} times, such as {example}")
    return sentences


def _money(evidence: Evidence) -> Iterable[tuple[str, str]]:
    known = set()
    for order in evidence.orders:
        key = str(order.order_id)
        known.add(key)
        captured, captures, refunded = evidence.provider.get(key, (0, 0, 0))
        if captures > 1:
            yield "an order was charged twice", key
        if order.status in SOLD and captured - refunded != order.total:
            yield "a sold order was charged another amount", f"{key}: {captured - refunded}, not {order.total}"
        if order.status not in SOLD and captured != refunded:
            yield "an order that was not sold keeps money", f"{key} ({order.status}): {captured - refunded}"
    for key, (captured, _, refunded) in evidence.provider.items():
        if key not in known and captured != refunded:
            yield "money was taken without an order", key


def _acknowledged(evidence: Evidence) -> Iterable[tuple[str, str]]:
    statuses = {order.order_id: order.status for order in evidence.orders}
    seen: Counter[str] = Counter()
    for name, _ in evidence.acknowledged:
        seen[name] += 1
        if seen[name] > 1:
            yield "two buyers were told of the same order", name
        status = statuses.get(int(name.partition("-")[0]))
        if status is None:
            yield "an acknowledged order is not there", name
        elif status not in SOLD:
            yield "an acknowledged order was not sold", f"{name}: {status}"
