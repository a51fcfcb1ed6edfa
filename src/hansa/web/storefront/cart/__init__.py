"""The cart: what somebody means to buy, and how many of it; and the small fragments that tell of it on every page."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from hansa.kernel.errors import Fault
from hansa.kernel.ids import is_id
from hansa.services.carts.contract import Cart, CartClosed, Carts
from hansa.services.users.contract import NoSuchUser, Users
from hansa.web.forms import Form, inside
from hansa.web.pages import Book, Page
from hansa.web.storefront.cart import adding, basket, lines
from hansa.web.storefront.cart.adding import Outcome
from hansa.web.storefront.shell import shown
from hansa.web.visit import Moved, Shown, Visit

UNFIT = ("nothing_chosen", "quantity_wrong")
"""Refusals of what was sent; the others are about what there is."""
TOLD = ("changed", "blocked", "limited")
"""What the address may say that has just happened."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What has just happened, in words. `tone` is a class of the style sheet."""

    tone: str
    text: str


def pages() -> Sequence[Page]:
    book = Book()

    @book.personal("cart")
    async def cart(visit: Visit) -> Shown:
        return await _cart_page(visit, await basket.find(visit))

    @book.act("cart/lines")
    async def add(visit: Visit, form: Form) -> Moved | Shown:
        outcome = await adding.add(visit, sku=form.get("sku"), quantity=form.number("quantity"))
        if visit.request.headers.get("hx-request") == "true":
            return await _added(visit, outcome)
        if outcome.is_good:
            sku = form.get("sku")
            return Moved(to=visit.url("cart", added=sku, limited="1" if outcome.result == "limited" else None))
        return await _refused(visit, outcome, back=inside(form.get("back"), default=""))

    @book.act("cart/change")
    async def change(visit: Visit, form: Form) -> Moved | Shown:
        """One line's quantity; the button `remove` makes it none."""
        quantity = 0 if form.has("remove") else form.number("quantity")
        outcome = await adding.change(visit, sku=form.get("sku"), quantity=quantity)
        if outcome.is_good:
            return Moved(to=visit.url("cart", changed="1", limited="1" if outcome.result == "limited" else None))
        return await _refused(visit, outcome)

    @book.act("cart/currency")
    async def change_currency(visit: Visit, form: Form) -> Moved:
        """To the currency of the page."""
        cart = await basket.find(visit)
        if cart is not None:
            with suppress(CartClosed):  # an order has been made of it just now: the cart's page shows what is left
                await visit.client(Carts).set_currency(
                    key=visit.ids.token(),
                    cart=cart.id,
                    member=visit.who.member,
                    currency=visit.currency,
                    locale=visit.locale,
                )
        return Moved(to=visit.url("cart"))

    for act in ("cart/lines", "cart/change", "cart/currency"):

        @book.personal(act)
        async def after_an_act(visit: Visit) -> Moved:
            """What an act has answered with, asked for again: in another language, perhaps."""
            return Moved(to=visit.url("cart"))

    @book.personal("fragments/visitor")
    async def visitor(visit: Visit) -> Shown:
        """The two links of the header that know who is looking."""
        try:
            cart = await basket.find(visit)
        except Fault:
            cart = None
        return Shown(
            template="storefront/fragments/visitor.html",
            context={"name": await _first_name(visit), "pieces": basket.pieces(cart)},
        )

    return book.pages


async def _refused(visit: Visit, outcome: Outcome, *, back: str = "") -> Shown:
    cart = outcome.cart or await basket.find(visit)
    notice = Notice(tone="bad", text=_refusal(visit, outcome))
    return await _cart_page(visit, cart, notice=notice, status=422 if outcome.result in UNFIT else 409, back=back)


async def _cart_page(
    visit: Visit, cart: Cart | None, *, notice: Notice | None = None, status: int = 200, back: str = ""
) -> Shown:
    shown_lines = await lines.shown_lines(visit, cart) if cart else []
    gone = await lines.gone_lines(visit, cart) if cart else []
    return await shown(
        visit,
        "cart.html",
        status=status,
        is_indexed=False,
        cart=cart,
        lines=shown_lines,
        gone=gone,
        is_short=any(line.is_short for line in shown_lines),
        tax_included=all(line.tax_included for line in cart.quote.lines) if cart else True,
        pieces=basket.pieces(cart),
        notice=notice or _told(visit, shown_lines),
        back=back,
    )


def _told(visit: Visit, shown_lines: Sequence[lines.ShownLine]) -> Notice | None:
    """What the address says that has just happened. Anybody may write an address, so it names nothing but texts of
    ours and lines that are there."""
    added = next((line for line in shown_lines if line.sku == visit.query.get("added")), None)
    told = {name for name in TOLD if visit.query.get(name) == "1"}
    if added is not None and "limited" in told and added.left is not None and added.quantity >= added.left:
        return Notice(tone="wait", text=visit.say("cart.told.limited", name=added.name, count=added.left))
    if added is not None:
        return Notice(tone="good", text=visit.say("cart.told.added", name=added.name))
    if "blocked" in told and shown_lines:
        return Notice(tone="bad", text=visit.say("cart.told.blocked"))
    if "changed" in told:
        return Notice(tone="good", text=visit.say("cart.told.short" if "limited" in told else "cart.told.changed"))
    return None


async def _added(visit: Visit, outcome: Outcome) -> Shown:
    """For the page of a product: what came of it, and the link to the cart with its new count."""
    cart = outcome.cart
    if outcome.result == "limited":
        text = visit.say("cart.told.limited", name=outcome.name, count=outcome.left)
    elif outcome.is_good:
        text = visit.say("cart.told.added", name=outcome.name)
    else:
        text = _refusal(visit, outcome)
    return Shown(
        template="storefront/fragments/added.html",
        context={"outcome": outcome, "text": text, "pieces": basket.pieces(cart) if cart else None},
    )


def _refusal(visit: Visit, outcome: Outcome) -> str:
    return visit.say(f"cart.refused.{outcome.result}", name=outcome.name, count=outcome.left)


async def _first_name(visit: Visit) -> str | None:
    """What to call somebody who is signed in: the first word of their name. None for guests."""
    if visit.who.member is None or not is_id(visit.who.member):
        return None
    try:
        user = await visit.client(Users).get(user_id=visit.who.member)
    except (NoSuchUser, Fault):
        return ""
    return next(iter(user.name.split()), "")
