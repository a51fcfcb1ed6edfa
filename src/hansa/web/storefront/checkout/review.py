"""The last look before the order is placed: what it costs and why, where it goes, and how it is paid."""

from dataclasses import replace
from typing import Any

from hansa.kernel.address import Address
from hansa.kernel.errors import BusinessError
from hansa.services.carts.contract import Cart, Carts, DeliveryNotOffered, NotForSale, Quote
from hansa.services.shipping.contract import AddressIncomplete, NotDelivered, Shipping
from hansa.web.storefront import addresses
from hansa.web.storefront.cart import basket
from hansa.web.storefront.cart.lines import is_short, shown_lines
from hansa.web.storefront.checkout.details import Details, with_options
from hansa.web.storefront.checkout.payment import ways
from hansa.web.storefront.shell import shown
from hansa.web.storefront.trail import trail
from hansa.web.visit import Moved, Shown, Visit

UNFIT = 422


async def form_page(visit: Visit, details: Details, cart: Cart, *, status: int = 200) -> Shown:
    """The first step: whom to write to, where it goes, and how."""
    details = await with_options(visit, details, cart)
    books = [(each, addresses.written(visit, each.address)) for each in details.saved]
    page = await shown(
        visit,
        "checkout.html",
        status=status,
        is_indexed=False,
        details=details,
        books=books,
        cart=cart,
        lines=await shown_lines(visit, cart),
        pieces=basket.pieces(cart),
    )
    return replace(page, may_go_back=True)


async def review_page(
    visit: Visit,
    details: Details,
    cart: Cart,
    *,
    key: str,
    paying: str = "",
    problem: str = "",
    payment_problem: str = "",
    status: int = 200,
    counts_stock: bool = True,
) -> Shown | Moved:
    """The second step; with what is in the way, where an order could not be placed. What cannot be delivered leads
    back to the first, what cannot be sold to the cart. Just after an order came to nothing, stock is better not
    counted: the pieces that were held for it are given back in a moment."""
    details = await with_options(visit, details, cart)
    if details.address is None or details.all_problems:
        return await form_page(visit, details, cart, status=UNFIT)
    try:
        await visit.client(Shipping).check_address(address=details.address)
        quote = await quoted(visit, cart, details.address, details.delivery)
    except NotForSale:
        return Moved(to=visit.url("cart", blocked="1"))
    except (AddressIncomplete, NotDelivered, DeliveryNotOffered) as error:
        return await form_page(visit, refused(visit, details, error), cart, status=UNFIT)
    lines = await shown_lines(visit, cart)
    page = await shown(
        visit,
        "checkout_review.html",
        status=status,
        is_indexed=False,
        details=details,
        cart=cart,
        quote=quote,
        lines=lines,
        short=[line for line in lines if line.is_short and counts_stock],
        trail=trail(
            visit,
            subtotal=quote.subtotal,
            adjustments=quote.adjustments,
            total=quote.total,
            names={line.sku: line.name for line in quote.lines},
        ),
        option=next((option for option in details.options if option.code == quote.delivery), None),
        address=addresses.written(visit, details.address),
        ways=await ways(visit),
        paying=paying,
        key=key,
        problem=problem,
        payment_problem=payment_problem,
        pieces=basket.pieces(cart),
    )
    return replace(page, may_go_back=True)


async def quoted(visit: Visit, cart: Cart, address: Address, delivery: str) -> Quote:
    """What the cart costs there. Raises NotForSale, DeliveryNotOffered."""
    return await visit.client(Carts).quote(
        lines=cart.lines,
        currency=cart.currency,
        locale=visit.locale,
        destination=address.destination,
        delivery=delivery or None,
        price_list=visit.site.channel.price_list,
    )


def refused(visit: Visit, details: Details, error: BusinessError) -> Details:
    """What a service has against the address, at the field it is about."""
    named: dict[str, Any] = error.fields()
    if (name := named.get("field")) is not None:
        label = next((each.label for each in details.sheet.fields if each.name == name), name)
        text = visit.say("address.wrong.malformed", field=label)
        return details.with_problem(name if details.is_new else "saved", text)
    text = visit.say("checkout.wrong.not_there", country=visit.country(details.country))
    return details.with_problem("country" if details.is_new else "saved", text)


async def can_be_sold(visit: Visit, cart: Cart) -> bool:
    """Whether everything in the cart is for sale, and there is enough of it."""
    return not cart.unavailable and not await is_short(visit, cart.lines)
