"""The room of orders: the list, and one order with all that can be done to it."""

from collections.abc import Sequence

from hansa.web.admin.orders import book, handling
from hansa.web.pages import Page


def pages() -> Sequence[Page]:
    return [*book.pages(), *handling.pages()]
