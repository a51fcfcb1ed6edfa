"""A member's address book."""

from collections.abc import Sequence

from hansa.services.users.contract import (
    MOST_ADDRESSES,
    AddressBookFull,
    NoSuchAddress,
    SavedAddress,
    Users,
)
from hansa.web.forms import Form, key_of
from hansa.web.pages import Book, Page, Who
from hansa.web.storefront import addresses
from hansa.web.storefront.account import member_of, page
from hansa.web.storefront.addresses import Sheet
from hansa.web.storefront.sessions import REFUSED, TAKEN
from hansa.web.visit import Moved, Shown, Visit


def pages() -> Sequence[Page]:
    book = Book(who=Who.MEMBER)

    @book.personal("account/addresses")
    async def listed(visit: Visit) -> Shown:
        saved = await visit.client(Users).addresses(user_id=member_of(visit))
        entries = [(each, addresses.written(visit, each.address)) for each in saved]
        return await page(visit, "account_addresses.html", entries=entries, most=MOST_ADDRESSES)

    @book.personal("account/addresses/new")
    async def new(visit: Visit) -> Shown:
        saved = await visit.client(Users).addresses(user_id=member_of(visit))
        country = saved[0].address.country if saved else ""
        return await _form(visit, None, await addresses.blank(visit, country=country))

    @book.personal("account/addresses/form")
    async def filled_elsewhere(visit: Visit) -> Moved:
        """Whoever changes the language half-way begins anew."""
        return Moved(to=visit.url("account/addresses/new"))

    @book.act("account/addresses/form")
    async def refill(visit: Visit, form: Form) -> Shown:
        """The same form with the fields of another country."""
        return await _form(visit, form.get("address_id") or None, await addresses.kept(visit, form), form)

    @book.personal("account/addresses/{address_id}")
    async def edit(visit: Visit, *, address_id: str) -> Shown:
        found = await _find(visit, address_id)
        sheet = await addresses.filled(visit, found.address)
        return await _form(visit, address_id, sheet, is_default=found.is_default)

    @book.act("account/addresses")
    async def put(visit: Visit, form: Form) -> Shown | Moved:
        """Add an address, or change the one that the form names."""
        member, address_id = member_of(visit), form.get("address_id") or None
        sheet = await addresses.read(visit, form)
        if sheet.address is None:
            return await _form(visit, address_id, sheet, form, status=REFUSED)
        is_default = form.has("is_default")
        # Sent twice, it is one act; corrected and sent again, it is another.
        key = key_of(form, what="address", who=f"{member}\x1f{address_id}\x1f{sheet.address}\x1f{is_default}")
        try:
            await visit.client(Users).put_address(
                key=key, user_id=member, address_id=address_id, address=sheet.address, is_default=is_default
            )
        except AddressBookFull as error:
            full = visit.say("account.wrong.address_full", count=error.most)
            return await _form(visit, address_id, sheet, form, status=TAKEN, problem=full)
        return Moved(to=visit.url("account/addresses", saved="address"))

    @book.act("account/addresses/{address_id}/remove")
    async def remove(visit: Visit, form: Form, *, address_id: str) -> Moved:
        member = member_of(visit)
        key = key_of(form, what=f"remove {address_id}", who=member)
        await visit.client(Users).remove_address(key=key, user_id=member, address_id=address_id)
        return Moved(to=visit.url("account/addresses", saved="removed"))

    @book.act("account/addresses/{address_id}/default")
    async def make_default(visit: Visit, form: Form, *, address_id: str) -> Moved:
        found = await _find(visit, address_id)
        key = key_of(form, what=f"default {address_id}", who=member_of(visit))
        await visit.client(Users).put_address(
            key=key, user_id=member_of(visit), address_id=address_id, address=found.address, is_default=True
        )
        return Moved(to=visit.url("account/addresses", saved="default"))

    return book.pages


async def _find(visit: Visit, address_id: str) -> SavedAddress:
    """Raises NoSuchAddress for what is not in the member's own book."""
    for saved in await visit.client(Users).addresses(user_id=member_of(visit)):
        if saved.id == address_id:
            return saved
    raise NoSuchAddress()


async def _form(
    visit: Visit,
    address_id: str | None,
    sheet: Sheet,
    form: Form | None = None,
    *,
    is_default: bool = False,
    status: int = 200,
    problem: str = "",
) -> Shown:
    return await page(
        visit,
        "account_address.html",
        status=status,
        problems={"": problem} if problem else sheet.problems,
        address_id=address_id or "",
        sheet=sheet,
        is_default=form.has("is_default") if form else is_default,
    )
