"""The room of products: the list, and one product on four sheets: about it, its variants, its pictures, its stock."""

from collections.abc import Sequence

from hansa.web.admin.products import about, catalogue, making, pictures, stock, variants
from hansa.web.pages import Page


def pages() -> Sequence[Page]:
    """The fixed addresses first: what comes first is what is found."""
    return [
        *catalogue.pages(),
        *making.pages(),
        *about.pages(),
        *variants.pages(),
        *pictures.pages(),
        *stock.pages(),
    ]
