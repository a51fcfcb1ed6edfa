"""The tags of what public answers show: who shows something and who changes it must call it by the same name."""

PRODUCTS = "products"
"""Every list of products that their own service gives."""
CATEGORIES = "categories"
HOME = "home"
SALES = "flash-sales"
"""Which flash sales there are; how they stand is too quick for tags."""
SEARCH = "search"
"""Whatever search has found."""
_PRODUCT = "product:"


def product(product_id: str) -> str:
    """A product shown in full."""
    return f"{_PRODUCT}{product_id}"


def product_of(tag: str) -> str:
    """The id of the product that a tag is about, or nothing."""
    return tag.removeprefix(_PRODUCT) if tag.startswith(_PRODUCT) else ""
