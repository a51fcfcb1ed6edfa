"""The pieces that reservations stand for, line by line: what each order holds, was sold, and has given back."""

from collections.abc import Iterable
from typing import Any

import msgspec

_decode = msgspec.json.Decoder().decode


def lines_of(reservations: Iterable[Any]) -> list[dict[str, Any]]:
    """From rows of the table: a line for each part, by the key of its level and the order's id."""
    lines = []
    for row in reservations:
        state, returned = row["state"], _decode(row["returned"] or "[]")
        back = {tuple(part["place"]): part["quantity"] for part in returned}
        # Of what was released again, only what came back says that it had been sold before.
        is_sold = state == "sold" or bool(returned)
        for part in _decode(row["parts"]):
            slot, sku, location, bucket = part["place"]
            quantity = part["quantity"]
            lines.append(
                {
                    "slot": slot,
                    "order_id": row["order_id"],
                    "sku": sku,
                    "location": location,
                    "bucket": bucket,
                    "held": quantity if state == "held" else 0,
                    "sold": quantity if is_sold else 0,
                    "returned": back.pop((slot, sku, location, bucket), 0),
                }
            )
        assert not back, f"the order {row['order_id']} gave back what it never had"
    return lines
