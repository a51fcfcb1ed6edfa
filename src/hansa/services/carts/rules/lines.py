"""Who may use a cart, and what lines it may hold."""

import hmac
from collections.abc import Mapping, Sequence

from hansa.services.carts.contract import LARGEST_QUANTITY, MOST_LINES, CartFull, CartLine
from hansa.services.products.contract import Offer

LARGEST_LINE = 10**15 // (4 * MOST_LINES)
"""Minor units: the most that a line may come to, so that no total, taxes included, outgrows what money can be."""


def may_use(*, owner: str | None, secret: str, asking: str | None, given: str) -> bool:
    """A member's cart is the member's. A guest's is whoever's has its whole name, signed in or not."""
    if owner is not None:
        return owner == asking and not given
    return bool(secret) and hmac.compare_digest(secret.encode(), given.encode(errors="surrogatepass"))


def check_room(lines: Sequence[CartLine], *, sku: str) -> None:
    """Raises CartFull if a line for the sku would be one too many."""
    if len(lines) >= MOST_LINES and all(line.sku != sku for line in lines):
        raise CartFull()


def merged(into: Sequence[CartLine], lines: Sequence[CartLine]) -> tuple[CartLine, ...]:
    """The lines of two carts in one: quantities of the same sku are added up to the largest. Signing in must not fail
    for a full cart, so of more lines than a cart can hold the last ones are left behind."""
    quantities = {line.sku: line.quantity for line in into}
    for line in lines:
        quantities[line.sku] = min(quantities.get(line.sku, 0) + line.quantity, LARGEST_QUANTITY)
    held = list(quantities.items())[:MOST_LINES]
    return tuple(CartLine(sku=sku, quantity=quantity) for sku, quantity in held)


def left_over(held: Sequence[CartLine], ordered: Sequence[CartLine]) -> tuple[CartLine, ...]:
    """What a cart holds beyond what was ordered of it: put there after the order had been made from it."""
    taken: dict[str, int] = {}
    for line in ordered:
        taken[line.sku] = taken.get(line.sku, 0) + line.quantity
    return tuple(
        CartLine(sku=line.sku, quantity=line.quantity - taken.get(line.sku, 0))
        for line in held
        if line.quantity > taken.get(line.sku, 0)
    )


def is_sold(line: CartLine, offer: Offer | None) -> bool:
    """Whether so many pieces can be had at that price; how many there are is inventory's to say."""
    return (
        offer is not None and line.quantity <= LARGEST_QUANTITY and offer.price.amount * line.quantity <= LARGEST_LINE
    )


def sorted_out(lines: Sequence[CartLine], offers: Mapping[str, Offer]) -> tuple[tuple[CartLine, ...], tuple[str, ...]]:
    """The lines that are for sale, and the skus of those that are not."""
    sold = tuple(line for line in lines if is_sold(line, offers.get(line.sku)))
    return sold, tuple(line.sku for line in lines if not is_sold(line, offers.get(line.sku)))
