"""Placing the order: once, however often the form is sent; and where every kind of no leads."""

import re
from contextlib import suppress
from dataclasses import dataclass

import structlog

from hansa.kernel.errors import BusinessError, CommandInFlight, Fault, IdempotencyKeyReused
from hansa.services.orders.contract import (
    AddressIncomplete,
    CartEmpty,
    CartOrdered,
    Delivery,
    NoSuchCart,
    NoSuchProvider,
    NotDeliverable,
    NotForSale,
    OrderDraft,
    Orders,
    OutOfStock,
    PaymentDeclined,
    QuoteChanged,
)
from hansa.services.users.contract import Users
from hansa.web.forms import Form, key_of
from hansa.web.storefront.cart import basket
from hansa.web.storefront.checkout.details import Details, read
from hansa.web.storefront.checkout.payment import ways
from hansa.web.storefront.checkout.review import UNFIT, form_page, refused, review_page
from hansa.web.storefront.shell import shown
from hansa.web.visit import Moved, Shown, Visit

CONFLICT, UNPAID, UNCERTAIN = 409, 402, 503
LONGEST_CART = 100
_KEY = re.compile(r"^[A-Za-z0-9_-]{20,80}$(?!\n)")
_FINGERPRINT = re.compile(r"^[0-9a-f]{1,64}$(?!\n)")
_METHOD = re.compile(r"^[a-z][a-z0-9_-]{0,39}$(?!\n)")
log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A form that was sent to place an order. `cart_id` is the cart that was shown: an order that has been placed is
    found again by it and the key, when the cart itself is closed."""

    form: Form
    details: Details
    cart_id: str
    key: str


async def place(visit: Visit, form: Form) -> Shown | Moved:
    details = await read(visit, form, is_checked=True)
    attempt = Attempt(form=form, details=details, cart_id=form.get("cart"), key=form.get("key"))
    if details.address is None or details.all_problems:
        return await _details(visit, attempt, details)
    way = next((way for way in await ways(visit) if way.value == form.get("payment")), None)
    if way is None:
        return await _review(visit, attempt, payment_problem="checkout.wrong.payment", status=UNFIT)
    if not _is_whole(form):
        return await _review(visit, attempt, problem="checkout.wrong.again", status=UNFIT)
    draft = OrderDraft(
        email=details.email,
        shipping_address=details.address,
        payment=way.draft,
        cart_id=attempt.cart_id,
        delivery=Delivery(method=details.delivery),
        quote=form.get("quote"),
    )
    try:
        order = await visit.client(Orders).place(
            key=key_of(form, what="order", who=visit.who.member or attempt.cart_id),
            draft=draft,
            member=visit.who.member,
            locale=visit.locale,
            currency=visit.currency,
        )
    except BusinessError as error:
        return await _refused(visit, attempt, error)
    except Fault as fault:
        # It may have been placed: the same form, sent again, finds out.
        log.warning("an order's placing was not answered", fault=str(fault))
        if not await _has_cart(visit):
            return await _ordered_page(visit)
        return await _review(visit, attempt, problem="checkout.wrong.uncertain", status=UNCERTAIN, is_same=True)
    await _keep_address(visit, attempt)
    return Moved(to=visit.url(f"orders/{order.id}", placed="1"))


async def _refused(visit: Visit, attempt: Attempt, error: BusinessError) -> Shown | Moved:
    """Each no leads back to the step where something can be done about it."""
    match error:
        case QuoteChanged(total=total):
            return await _review(visit, attempt, problem="checkout.wrong.quote_changed", total=visit.money(total))
        case OutOfStock():
            return await _review(visit, attempt, problem="checkout.wrong.out_of_stock")
        case PaymentDeclined():
            return await _review(
                visit, attempt, payment_problem="checkout.wrong.declined", status=UNPAID, counts_stock=False
            )
        case NoSuchProvider():
            return await _review(visit, attempt, payment_problem="checkout.wrong.payment", status=UNFIT)
        case NotForSale():
            return Moved(to=visit.url("cart", blocked="1"))
        case NotDeliverable() | AddressIncomplete():
            return await _details(visit, attempt, refused(visit, attempt.details, error))
        case CartOrdered() | CartEmpty() | NoSuchCart():
            return await _other_cart(visit, attempt, is_ordered=isinstance(error, CartOrdered))
        case CommandInFlight():
            return await _review(visit, attempt, problem="checkout.wrong.in_flight", is_same=True)
        case IdempotencyKeyReused():
            # Sent before, with another payment perhaps: if that came to an order, the cart is gone.
            return await _other_cart(visit, attempt, is_ordered=not await _has_cart(visit))
    return await _review(visit, attempt, problem="checkout.wrong.again")


async def _details(visit: Visit, attempt: Attempt, details: Details) -> Shown | Moved:
    """The first step once more, with what is wrong."""
    cart = await basket.find(visit)
    if cart is None or not cart.lines:
        return Moved(to=visit.url("cart"))
    return await form_page(visit, details, cart, status=UNFIT)


async def _other_cart(visit: Visit, attempt: Attempt, *, is_ordered: bool) -> Shown | Moved:
    """The cart that was shown cannot be ordered. Perhaps it goes on in another one: they have signed in, and it was
    merged; or it was ordered in another tab, and something has come after."""
    cart = await basket.find(visit)
    is_another = cart is not None and bool(cart.lines) and cart.id != attempt.cart_id
    if is_ordered and not is_another:
        return await _ordered_page(visit)
    return await _review(visit, attempt, problem="checkout.wrong.cart_changed")


async def _ordered_page(visit: Visit) -> Shown:
    return await shown(visit, "checkout_ordered.html", status=CONFLICT, is_indexed=False)


async def _has_cart(visit: Visit) -> bool:
    cart = await basket.find(visit)
    return cart is not None and bool(cart.lines)


async def _review(
    visit: Visit,
    attempt: Attempt,
    *,
    problem: str = "",
    payment_problem: str = "",
    status: int = CONFLICT,
    is_same: bool = False,
    counts_stock: bool = True,
    **values: str,
) -> Shown | Moved:
    """The review once more, to be confirmed as a new attempt, or as the same one."""
    cart = await basket.find(visit)
    if cart is None or not cart.lines:
        return Moved(to=visit.url("cart"))
    return await review_page(
        visit,
        attempt.details,
        cart,
        key=attempt.key if is_same else visit.ids.token(),
        paying=attempt.form.get("payment"),
        problem=visit.say(problem, **values) if problem else "",
        payment_problem=visit.say(payment_problem) if payment_problem else "",
        status=status,
        counts_stock=counts_stock and not is_same,
    )


def _is_whole(form: Form) -> bool:
    """Whether the form has all that the review put into it."""
    cart_id = form.get("cart")
    return (
        bool(_KEY.match(form.get("key")))
        and bool(_FINGERPRINT.match(form.get("quote")))
        and bool(_METHOD.match(form.get("delivery")))
        and 0 < len(cart_id) <= LONGEST_CART
    )


async def _keep_address(visit: Visit, attempt: Attempt) -> None:
    """The new address into the member's book, if they want that. The order does not depend on it."""
    details, member = attempt.details, visit.who.member
    if member is None or not details.keep or not details.is_new or details.address is None:
        return
    with suppress(BusinessError, Fault):
        await visit.client(Users).put_address(
            key=key_of(attempt.form, what="address", who=member),
            user_id=member,
            address_id=None,
            address=details.address,
        )
