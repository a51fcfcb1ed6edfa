"""A member's own pages: orders at a glance, name, language and password, what is allowed, and all data as a file."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from hansa.kernel.errors import IdempotencyKeyReused
from hansa.services.orders.contract import Order, Orders
from hansa.services.users.contract import (
    Consent,
    GivenPassword,
    Password,
    PasswordUnfit,
    PersonName,
    SavedAddress,
    TooBusy,
    TooManyAttempts,
    User,
    Users,
    WrongPassword,
)
from hansa.web.forms import Form, key_of
from hansa.web.pages import Book, Page, Who
from hansa.web.storefront import addresses
from hansa.web.storefront.sessions import REFUSED, TOO_MANY, fits, said
from hansa.web.storefront.shell import shown
from hansa.web.visit import Moved, Shown, Visit

LATEST = 3
PER_PAGE = 20
MOST_ORDERS_TOLD = 500
"""In the file of one's own data; whoever has more asks the shop."""
AT_ONCE = 10
SOURCE = "account"
SAVED = frozenset({"address", "removed", "default", "details", "password", "privacy"})


class OwnData(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the shop keeps of a member. `is_complete` is false if there are more orders."""

    account: User
    addresses: tuple[SavedAddress, ...]
    consents: tuple[Consent, ...]
    orders: tuple[Order, ...]
    is_complete: bool


def pages() -> Sequence[Page]:
    book = Book(who=Who.MEMBER)

    @book.personal("account")
    async def overview(visit: Visit) -> Shown:
        member = member_of(visit)
        user, orders, saved = await asyncio.gather(
            visit.client(Users).get(user_id=member),
            visit.client(Orders).list(member=member, limit=LATEST),
            visit.client(Users).addresses(user_id=member),
        )
        usual = addresses.written(visit, saved[0].address) if saved else []
        return await page(visit, "account.html", user=user, orders=orders.items, usual=usual)

    @book.personal("account/orders")
    async def orders(visit: Visit) -> Shown:
        cursor = visit.query.get("cursor") or None
        found = await visit.client(Orders).list(member=member_of(visit), limit=PER_PAGE, cursor=cursor)
        return await page(visit, "account_orders.html", orders=found.items, next_cursor=found.next_cursor)

    @book.personal("account/details")
    async def details(visit: Visit) -> Shown:
        return await _details(visit)

    @book.act("account/details")
    async def change(visit: Visit, form: Form) -> Shown | Moved:
        name, locale = " ".join(form.get("name").split()), form.get("language")
        problems = {}
        if not fits(name, PersonName):
            problems["name"] = visit.say("account.wrong.name")
        if locale not in visit.site.locales:
            problems["language"] = visit.say("account.wrong.language")
        if problems:
            return await _details(visit, form, problems, REFUSED)
        member = member_of(visit)
        key = key_of(form, what="details", who=f"{member}\x1f{name}\x1f{locale}")
        await visit.client(Users).change(key=key, user_id=member, name=name, locale=locale)
        return Moved(to=visit.url("account/details", saved="details"))

    @book.personal("account/password")
    async def password(visit: Visit) -> Moved:
        """Whoever changes the language where the form was refused is shown it anew."""
        return Moved(to=visit.url("account/details"))

    @book.act("account/password")
    async def change_password(visit: Visit, form: Form) -> Shown | Moved:
        member, old, new = member_of(visit), form.raw("old"), form.raw("new")
        try:
            _check_lengths(old, new)
            await visit.client(Users).change_password(
                key=key_of(form, what="password", who=member), user_id=member, old=old, new=new, token=visit.who.token
            )
        except PasswordUnfit as error:
            return await _details(visit, form, {"new": said(visit, error)}, REFUSED)
        except (WrongPassword, IdempotencyKeyReused):
            return await _details(visit, form, {"old": said(visit, WrongPassword())}, REFUSED)
        except (TooManyAttempts, TooBusy) as error:
            return await _details(visit, form, {"": said(visit, error)}, TOO_MANY)
        return Moved(to=visit.url("account/details", saved="password"))

    @book.personal("account/privacy")
    async def consents(visit: Visit) -> Shown:
        said_so = await visit.client(Users).consents(user_id=member_of(visit))
        return await page(visit, "account_privacy.html", consents=said_so)

    @book.act("account/privacy")
    async def set_consents(visit: Visit, form: Form) -> Moved:
        """Only what is another than it was is said anew."""
        member, users = member_of(visit), visit.client(Users)
        for consent in await users.consents(user_id=member):
            given = form.has(consent.purpose)
            if given != consent.given:
                key = key_of(form, what=f"consent {consent.purpose} {given}", who=member)
                await users.set_consent(key=key, user_id=member, purpose=consent.purpose, given=given, source=SOURCE)
        return Moved(to=visit.url("account/privacy", saved="privacy"))

    @book.personal("account/data.json")
    async def own_data(visit: Visit) -> Response:
        """All that is kept of the member, for machines to read."""
        told = await _own_data(visit, member_of(visit))
        body = msgspec.json.format(msgspec.json.encode(told), indent=2)
        headers = {"content-disposition": 'attachment; filename="my-data.json"'}
        return Response(body, media_type="application/json", headers=headers)

    return book.pages


def member_of(visit: Visit) -> str:
    member = visit.who.member
    assert member is not None, "a page for members was shown to a guest"
    return member


async def page(
    visit: Visit, template: str, *, status: int = 200, problems: Mapping[str, str] | None = None, **context: Any
) -> Shown:
    """A page of the account: with the word that something was saved, where it was."""
    saved = visit.query.get("saved", "")
    return await shown(
        visit,
        template,
        status=status,
        is_indexed=False,
        problems=problems or {},
        saved=visit.say(f"account.saved.{saved}") if saved in SAVED and not problems else "",
        key=visit.ids.token(),
        **context,
    )


async def _details(
    visit: Visit, form: Form | None = None, problems: Mapping[str, str] | None = None, status: int = 200
) -> Shown:
    """The details as they are kept, or as they were filled in."""
    user = await visit.client(Users).get(user_id=member_of(visit))
    is_sent = form is not None and form.has("language")
    return await page(
        visit,
        "account_details.html",
        status=status,
        problems=problems,
        user=user,
        name=form.get("name") if form and is_sent else user.name,
        language=form.get("language") if form and is_sent else user.locale,
    )


def _check_lengths(old: str, new: str) -> None:
    """What no password can be is not asked about. Raises PasswordUnfit, WrongPassword."""
    if not fits(new, Password):
        raise PasswordUnfit()
    if not fits(old, GivenPassword):
        raise WrongPassword()


async def _own_data(visit: Visit, member: str) -> OwnData:
    users, orders = visit.client(Users), visit.client(Orders)
    names: list[str] = []
    cursor: str | None = None
    while len(names) < MOST_ORDERS_TOLD:
        found = await orders.list(member=member, limit=100, cursor=cursor)
        names += [summary.id for summary in found.items]
        if (cursor := found.next_cursor) is None:
            break
    told: list[Order] = []
    for start in range(0, len(names), AT_ONCE):
        some = names[start : start + AT_ONCE]
        told += await asyncio.gather(*(orders.get(order=name, member=member) for name in some))
    return OwnData(
        account=await users.get(user_id=member),
        addresses=await users.addresses(user_id=member),
        consents=await users.consents(user_id=member),
        orders=tuple(told),
        is_complete=cursor is None,
    )
