"""What an order has to do with a flash sale."""

from hansa.kernel.errors import BusinessError, record_error, revive_error
from hansa.services.carts.contract import CartLine, SpecialPrice
from hansa.services.orders.contract import FlashDraft, Order, OrderDraft
from hansa.services.orders.contract.flash import FLASH_ERRORS
from hansa.services.promotions.contract import Terms

SOURCE = "promotions.flash_sale"
"""The source of the adjustment that explains the sale's price: its code is the sale."""


def draft_of(draft: FlashDraft) -> OrderDraft:
    """The part of it that every order has; the sale decides the rest."""
    return OrderDraft(
        email=draft.email,
        shipping_address=draft.shipping_address,
        payment=draft.payment,
        delivery=draft.delivery,
        billing_address=draft.billing_address,
        quote=draft.quote,
    )


def lines_of(terms: Terms, *, quantity: int) -> tuple[CartLine, ...]:
    return (CartLine(sku=terms.sku, quantity=quantity),)


def special_price(terms: Terms) -> SpecialPrice:
    return SpecialPrice(sku=terms.sku, unit_price=terms.price, code=terms.sale_id, name=terms.name, source=SOURCE)


def sale_of(order: Order) -> str | None:
    """The flash sale whose pieces an order wants or has: the quote, which stays on the order, says so."""
    return next((step.code for step in order.adjustments if step.source == SOURCE), None)


def pieces_of(order: Order) -> int:
    return sum(line.quantity for line in order.lines)


def translated(error: BusinessError) -> BusinessError:
    """What orders say when promotions say no; an error that is not about a flash sale stays as it is."""
    told = revive_error(record_error(error), FLASH_ERRORS)
    return told if isinstance(told, BusinessError) else error
