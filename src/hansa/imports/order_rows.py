"""Orders as rows of a CSV file or as JSON lines, without what is known of the buyer but the country."""

from collections.abc import Iterator
from typing import Any

import msgspec

from hansa.imports.cells import guarded
from hansa.kernel.money import to_text
from hansa.services.orders.contract import Order

COLUMNS = (
    *("number", "order_id", "created_at", "status", "reason", "country", "delivery", "currency"),
    *("sku", "product_id", "name", "options", "seller_id"),
    *("quantity", "fulfilled", "returned", "cancelled", "unit_price", "line_total"),
    *("subtotal", "order_total", "captured", "refunded"),
)
_PERSONAL = ("email", "shipping_address", "billing_address", "next_action")


def rows_of(order: Order) -> Iterator[tuple[str, ...]]:
    """A row for each line. What is true of the order as a whole is in each of them, but for its sums: they stand in the
    first one only, so that a column can be summed."""
    of_order = (
        order.number,
        order.id,
        order.created_at.isoformat(timespec="seconds"),
        order.status,
        order.reason or "",
        order.shipping_address.country,
        order.delivery.method,
        order.currency,
    )
    captured = sum(payment.captured for payment in order.payments)
    refunded = sum(payment.refunded for payment in order.payments)
    sums = (order.subtotal.amount, order.total.amount, captured, refunded)
    for place, line in enumerate(order.lines):
        options = "; ".join(f"{name}: {value}" for name, value in line.options.items())
        yield (
            *map(guarded, of_order),
            *map(guarded, (line.sku, line.product_id, line.name, options, line.seller_id)),
            *map(str, (line.quantity, line.fulfilled, line.returned, line.cancelled)),
            to_text(line.unit_price.amount, order.currency),
            to_text(line.total.amount, order.currency),
            *("" if place else to_text(amount, order.currency) for amount in sums),
        )


def facts_of(order: Order) -> dict[str, Any]:
    """The order as it is in the API, less what is personal."""
    facts: dict[str, Any] = msgspec.to_builtins(order)
    for name in _PERSONAL:
        del facts[name]
    return {**facts, "country": order.shipping_address.country}
