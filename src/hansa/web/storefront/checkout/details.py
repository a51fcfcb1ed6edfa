"""Who buys, where it goes and how: what was filled in, what can be chosen, and what is still wrong."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from hansa.kernel.address import Address, Destination, Email
from hansa.kernel.money import Money
from hansa.services.carts.contract import Cart
from hansa.services.shipping.contract import NotDelivered, Option, Shipping
from hansa.services.users.contract import SavedAddress, User, Users
from hansa.web.forms import Form
from hansa.web.storefront import addresses
from hansa.web.storefront.addresses import Sheet
from hansa.web.visit import Visit

NEW = "new"
"""Stands for an address that is not in the address book."""
_TAG = re.compile(r"\b([a-zA-Z]{2,3})-(?:[a-zA-Z]{4}-)?([A-Z]{2})\b")
LONGEST_HEADER = 200


@dataclass(frozen=True, kw_only=True)
class Details:
    """The first step of the checkout. `problems` are texts by field; the sheet has its own besides.

    `chosen` is the id of a saved address, or NEW: then the sheet counts. `address` is there once nothing is wrong
    with it.
    """

    email: str
    user: User | None
    saved: tuple[SavedAddress, ...]
    chosen: str
    sheet: Sheet
    address: Address | None
    delivery: str
    keep: bool
    """Whether a member wants the new address in their address book."""
    options: tuple[Option, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_new(self) -> bool:
        return self.chosen == NEW

    @property
    def country(self) -> str:
        return self.address.country if self.address else self.sheet.country

    @property
    def all_problems(self) -> dict[str, str]:
        return {**self.problems, **(self.sheet.problems if self.is_new else {})}

    def with_problem(self, name: str, text: str) -> "Details":
        if self.is_new and name in ("country", *addresses.AUTOCOMPLETE):
            return replace(self, sheet=replace(self.sheet, problems={**self.sheet.problems, name: text}))
        return replace(self, problems={**self.problems, name: text})

    def carried(self) -> Iterator[tuple[str, str]]:
        """As hidden fields: sent along from step to step and looked at anew each time, and kept nowhere."""
        if self.user is None:
            yield "email", self.email
        yield "saved", self.chosen
        yield "delivery", self.delivery
        if self.is_new:
            yield "country", self.sheet.country
            yield from ((name, value) for name, value in self.sheet.values.items() if value)
            if self.keep:
                yield "keep", "1"


async def fresh(visit: Visit) -> Details:
    """Nothing filled in yet but what is known of a member."""
    user, saved = await _member(visit)
    chosen = saved[0].id if saved else NEW
    return Details(
        email=user.email if user else "",
        user=user,
        saved=saved,
        chosen=chosen,
        sheet=await addresses.blank(visit, country=_country_of_browser(visit)),
        address=next((each.address for each in saved if each.id == chosen), None),
        delivery="",
        keep=False,
    )


async def read(visit: Visit, form: Form, *, is_checked: bool) -> Details:
    """What was sent. Unless it is checked, nothing is complained of: something is still being filled in."""
    user, saved = await _member(visit)
    chosen = _chosen(form, saved)
    sheet = await _sheet(visit, form, is_checked=is_checked and chosen == NEW)
    details = Details(
        email=user.email if user else form.get("email"),
        user=user,
        saved=saved,
        chosen=chosen,
        sheet=sheet,
        address=next((each.address for each in saved if each.id == chosen), sheet.address),
        delivery=form.get("delivery"),
        keep=form.has("keep"),
    )
    if is_checked and not _is(details.email, Email):
        details = details.with_problem("email", visit.say("checkout.wrong.email"))
    return details


async def with_options(visit: Visit, details: Details, cart: Cart) -> Details:
    """The details with what can be chosen for this cart on its way there; what was chosen and is not among it gives
    way to the first."""
    return await with_options_for(visit, details, weight_grams=cart.quote.weight_grams, subtotal=cart.quote.subtotal)


async def with_options_for(visit: Visit, details: Details, *, weight_grams: int, subtotal: Money) -> Details:
    """The same for things of this weight and price."""
    try:
        options = await visit.client(Shipping).options(
            destination=Destination(country=details.country),
            weight_grams=weight_grams,
            subtotal=subtotal,
            locale=visit.locale,
        )
    except NotDelivered:
        text = visit.say("checkout.wrong.nowhere", country=visit.country(details.country), currency=subtotal.currency)
        return details.with_problem("country" if details.is_new else "saved", text)
    codes = [option.code for option in options]
    return replace(details, options=options, delivery=details.delivery if details.delivery in codes else codes[0])


async def _member(visit: Visit) -> tuple[User | None, tuple[SavedAddress, ...]]:
    member = visit.who.member
    if member is None:
        return None, ()
    users = visit.client(Users)
    return await users.get(user_id=member), await users.addresses(user_id=member)


def _chosen(form: Form, saved: Sequence[SavedAddress]) -> str:
    """Whoever has signed in on the way has sent an address, and goes on with it."""
    known = [each.id for each in saved]
    sent = form.get("saved")
    if sent in known:
        return sent
    return NEW if sent == NEW or form.has("country") or not known else known[0]


async def _sheet(visit: Visit, form: Form, *, is_checked: bool) -> Sheet:
    if not form.has("country"):
        return await addresses.blank(visit, country=_country_of_browser(visit))
    return await addresses.read(visit, form) if is_checked else await addresses.kept(visit, form)


def _country_of_browser(visit: Visit) -> str:
    """The region of a language that the browser asks for, such as GB of en-GB: a first guess, easily changed. Whoever
    reads the shop in another language than that has made a choice that says more."""
    spoken = {locale.partition("-")[0] for locale in visit.site.locales} - {visit.locale.partition("-")[0]}
    tags = _TAG.findall(visit.request.headers.get("accept-language", "")[:LONGEST_HEADER])
    return next((country for language, country in tags if language.lower() not in spoken), "")


def _is(value: str, type_: object) -> bool:
    try:
        msgspec.convert(value, type_)
    except msgspec.ValidationError:
        return False
    return True
