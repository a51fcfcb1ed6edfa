"""What is true of carts: who may use one, what its lines may be, what they cost, and which taxes there are."""

from hansa.services.carts.rules.lines import check_room, is_sold, left_over, may_use, merged, sorted_out
from hansa.services.carts.rules.quotes import (
    choose,
    combined,
    price,
    promoted,
    quote,
    subtotal_of,
    weight_of,
)
from hansa.services.carts.rules.taxes import TaxRate, TaxTable, read_taxes

__all__ = [
    "TaxRate",
    "TaxTable",
    "check_room",
    "choose",
    "combined",
    "is_sold",
    "left_over",
    "may_use",
    "merged",
    "price",
    "promoted",
    "quote",
    "read_taxes",
    "sorted_out",
    "subtotal_of",
    "weight_of",
]
