"""The checkout: details, review, order. Nothing is kept between the steps: forms carry it, and it is looked at anew."""

from collections.abc import Sequence

from hansa.services.carts.contract import Cart
from hansa.web.forms import Form
from hansa.web.pages import Book, Page
from hansa.web.storefront.cart import adding, basket
from hansa.web.storefront.checkout.details import fresh, read
from hansa.web.storefront.checkout.placing import place
from hansa.web.storefront.checkout.review import can_be_sold, form_page, review_page
from hansa.web.visit import Moved, Shown, Visit


def pages() -> Sequence[Page]:
    book = Book()

    @book.personal("checkout")
    async def begin(visit: Visit) -> Shown | Moved:
        cart = await basket.find(visit)
        if cart is None or not cart.lines:
            return Moved(to=visit.url("cart"))
        if not await can_be_sold(visit, cart):
            return Moved(to=visit.url("cart", blocked="1"))
        return await form_page(visit, await fresh(visit), cart)

    @book.act("checkout")
    async def go_on(visit: Visit, form: Form) -> Shown | Moved:
        """The first step with what has been filled in so far: the country has changed, or something is to be edited."""
        cart = await _sellable(visit)
        if isinstance(cart, Moved):
            return cart
        return await form_page(visit, await read(visit, form, is_checked=False), cart)

    @book.act("checkout/review")
    async def review(visit: Visit, form: Form) -> Shown | Moved:
        return await _review(visit, form)

    @book.act("checkout/adjust")
    async def adjust(visit: Visit, form: Form) -> Shown | Moved:
        """Fewer pieces of something, since there are not as many, and on with the review."""
        await adding.change(visit, sku=form.get("sku"), quantity=form.number("quantity"))
        return await _review(visit, form)

    @book.act("checkout/order")
    async def order(visit: Visit, form: Form) -> Shown | Moved:
        return await place(visit, form)

    for act in ("checkout/review", "checkout/adjust", "checkout/order"):

        @book.personal(act)
        async def after_an_act(visit: Visit) -> Moved:
            """What an act has answered with, asked for again: in another language, perhaps."""
            return Moved(to=visit.url("checkout"))

    return book.pages


async def _review(visit: Visit, form: Form) -> Shown | Moved:
    cart = await _sellable(visit)
    if isinstance(cart, Moved):
        return cart
    details = await read(visit, form, is_checked=True)
    return await review_page(visit, details, cart, key=visit.ids.token(), paying=form.get("payment"))


async def _sellable(visit: Visit) -> Cart | Moved:
    """The cart, or the way to its page where there is nothing in it, or something that is not for sale."""
    cart = await basket.find(visit)
    if cart is None or not cart.lines:
        return Moved(to=visit.url("cart"))
    return Moved(to=visit.url("cart", blocked="1")) if cart.unavailable else cart
