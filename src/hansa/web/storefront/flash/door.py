"""The door to a sale: the form with which a member buys, to be filled in before the start, and shut until then."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hansa.kernel.address import Destination
from hansa.kernel.errors import BusinessError
from hansa.kernel.money import Money
from hansa.services.carts.contract import CartLine, Carts, Quote, SpecialPrice
from hansa.services.promotions.contract import FlashSale, FlashSaleEnded, Promotions, TooEarly
from hansa.services.users.contract import SavedAddress
from hansa.web.forms import Form
from hansa.web.storefront import addresses
from hansa.web.storefront.checkout.details import Details, with_options_for
from hansa.web.storefront.checkout.details import fresh as fresh_details
from hansa.web.storefront.checkout.details import read as read_details
from hansa.web.storefront.checkout.payment import Way, ways
from hansa.web.storefront.flash.sales import LARGEST_EXACT, ShownSale
from hansa.web.storefront.shell import shown
from hansa.web.storefront.trail import Trail, trail
from hansa.web.visit import Shown, Visit

MOST_CHOICES = 100
"""Quantities that are offered to choose from."""
SOURCE = "promotions.flash_sale"
"""As orders name the source of what a sale takes off: so the quote that is shown is the one that is ordered."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """A member's form for a sale. `key` makes one order of it, however often it is sent; `ticket` is empty until the
    sale hands one out. `problem` is about the whole, `payment_problem` about how it is paid."""

    details: Details
    books: tuple[tuple[SavedAddress, list[str]], ...]
    quantity: int
    most: int
    ways: tuple[Way, ...]
    paying: str
    ticket: str
    key: str
    quote: Quote | None
    """What it comes to, as far as the address is known by now."""
    trail: Trail | None
    problem: str = ""
    payment_problem: str = ""

    def carried(self) -> Iterator[tuple[str, str]]:
        """Everything as hidden fields: whoever stands in line sends the same form again."""
        yield from self.details.carried()
        yield "quantity", str(self.quantity)
        yield "payment", self.paying
        yield "ticket", self.ticket
        yield "key", self.key
        yield "quote", self.quote.fingerprint if self.quote else ""


async def fresh(visit: Visit, found: ShownSale) -> Door:
    """Filled in with what is known of the member."""
    details = await fresh_details(visit)
    return await build(visit, found, details, quantity=1, paying="", key=visit.ids.token())


async def kept(visit: Visit, found: ShownSale, form: Form) -> Door:
    """As it was sent, with nothing complained of: something is still being filled in."""
    details = await read_details(visit, form, is_checked=False)
    return await build(
        visit,
        found,
        details,
        quantity=form.number("quantity") or 1,
        paying=form.get("payment"),
        key=form.get("key") or visit.ids.token(),
    )


async def build(
    visit: Visit, found: ShownSale, details: Details, *, quantity: int, paying: str, key: str, ticket_text: str = ""
) -> Door:
    sale = found.sale
    most = min(sale.limit_per_buyer, MOST_CHOICES)
    quantity = max(1, min(quantity, most))
    weight_grams = found.offer.weight_grams * quantity if found.offer else 0
    details = await with_options_for(visit, details, weight_grams=weight_grams, subtotal=times(found.price, quantity))
    quote = await _quoted(visit, found, details, quantity)
    return Door(
        details=details,
        books=tuple((each, addresses.written(visit, each.address)) for each in details.saved),
        quantity=quantity,
        most=most,
        ways=await ways(visit),
        paying=paying,
        ticket=ticket_text or await ticket(visit, sale),
        key=key,
        quote=quote,
        trail=_trail(visit, quote) if quote else None,
    )


async def _quoted(visit: Visit, found: ShownSale, details: Details, quantity: int) -> Quote | None:
    """What it costs there, at the sale's price; None where it cannot be had."""
    sale = found.sale
    special = SpecialPrice(sku=sale.sku, unit_price=sale.price, code=sale.id, name=sale.name, source=SOURCE)
    try:
        return await visit.client(Carts).quote(
            lines=(CartLine(sku=sale.sku, quantity=quantity),),
            currency=sale.price.currency,
            locale=visit.locale,
            destination=_destination(details),
            delivery=details.delivery or None,
            price_list=visit.site.channel.price_list,
            specials=(special,),
        )
    except BusinessError:
        return None  # what is in the way is said where it can be changed


def _destination(details: Details) -> Destination:
    """As much as has been filled in."""
    if details.address is not None:
        return details.address.destination
    values = details.sheet.values
    return Destination(
        country=details.sheet.country, region=values.get("region", ""), postal_code=values.get("postal_code", "")[:20]
    )


def _trail(visit: Visit, quote: Quote) -> Trail:
    return trail(
        visit,
        subtotal=quote.subtotal,
        adjustments=quote.adjustments,
        total=quote.total,
        names={line.sku: line.name for line in quote.lines},
    )


def told(door: Door, *, problem: str = "", payment_problem: str = "") -> Door:
    return replace(door, problem=problem, payment_problem=payment_problem)


async def ticket(visit: Visit, sale: FlashSale) -> str:
    """What the sale hands out to the member; nothing before the start and after the end."""
    assert visit.who.member is not None, "tickets are for members"
    try:
        return (await visit.client(Promotions).ticket(sale_id=sale.id, member=visit.who.member)).ticket
    except (TooEarly, FlashSaleEnded):
        return ""


async def page(visit: Visit, found: ShownSale, door: Door, *, status: int = 200) -> Shown:
    """The sale's page with the form in it; to scripts, which put it into the page they have, it is always fine."""
    is_fragment = visit.request.headers.get("hx-request") == "true"
    if is_fragment:
        return fragment(visit, found, door)
    answer = await shown(
        visit,
        "flash_sale.html",
        status=status,
        is_indexed=False,
        entry=found,
        sale=found.sale,
        sales=(found.sale,),
        door=door,
        is_soon=False,
        largest_exact=LARGEST_EXACT,
    )
    return replace(answer, may_go_back=True)


def fragment(visit: Visit, found: ShownSale, door: Door | None) -> Shown:
    return Shown(template="storefront/flash_door.html", context={"entry": found, "sale": found.sale, "door": door})


def sign_in(visit: Visit, sale_id: str) -> str:
    """To sign in, and back to the form."""
    return visit.url("sign-in", next=visit.url(f"sale/{sale_id}/buy"))


def times(price: Money, quantity: int) -> Money:
    return Money(price.amount * quantity, price.currency)
