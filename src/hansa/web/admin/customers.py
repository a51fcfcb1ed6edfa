"""The room of customers: accounts with their personal data masked, shown in the clear only for a reason."""

from collections.abc import Sequence

from hansa.services.users.contract import NoSuchUser, User, Users
from hansa.web.admin.lists import PAGE, choice_of, cursor_of, listed
from hansa.web.admin.shell import key_of, shown
from hansa.web.forms import Form
from hansa.web.pages import Book, Page, Who
from hansa.web.visit import Moved, Shown, Visit

ORDERS = ("newest", "oldest")
LONGEST_SEARCH = 254
SHORTEST_REASON, LONGEST_REASON = 3, 500


def pages() -> Sequence[Page]:
    book = Book(who=Who.STAFF)

    @book.personal("admin/customers")
    async def customers(visit: Visit) -> Shown:
        order = choice_of(visit, "order", ORDERS)
        page = await visit.client(Users).list_for_staff(order=order or "newest", limit=PAGE, cursor=cursor_of(visit))
        found = listed(visit, page, order=order)
        return await shown(visit, "customers/list.html", list=found, asked="", is_missing=False)

    @book.act("admin/customers")
    async def find(visit: Visit, form: Form) -> Shown | Moved:
        """A form that is sent, so that the e-mail address stands in no address line and no log."""
        asked = form.get("q")[:LONGEST_SEARCH]
        if not asked:
            return Moved(to=visit.url("admin/customers"))
        page = await visit.client(Users).list_for_staff(q=asked, limit=1)
        if page.items:
            return Moved(to=visit.url(f"admin/customers/{page.items[0].id}"))
        return await shown(
            visit, "customers/list.html", list=listed(visit, page, order=None), asked=asked, is_missing=True
        )

    @book.personal("admin/customers/{user_id}")
    async def customer(visit: Visit, *, user_id: str) -> Shown:
        return await _show(visit, user_id)

    @book.act("admin/customers/{user_id}")
    async def reveal(visit: Visit, form: Form, *, user_id: str) -> Shown:
        """The answer itself shows the data: it stands at no address that could be opened again."""
        reason = form.get("reason")
        if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
            wrong = "required" if len(reason) < SHORTEST_REASON else "too_long"
            return await _show(visit, user_id, wrong={"reason": wrong}, reason=reason, status=422)
        user = await visit.client(Users).reveal(
            key=key_of(visit, form, f"reveal:{user_id}"), user_id=user_id, actor=visit.who.actor, reason=reason
        )
        return await _show(visit, user_id, clear=user, reason=reason)

    return book.pages


async def _show(
    visit: Visit,
    user_id: str,
    *,
    clear: User | None = None,
    reason: str = "",
    wrong: dict[str, str] | None = None,
    status: int = 200,
) -> Shown:
    if not user_id.isdigit():
        raise NoSuchUser()
    customer = await visit.client(Users).get_for_staff(user_id=user_id, actor=visit.who.actor)
    return await shown(
        visit,
        "customers/detail.html",
        status=status,
        customer=customer,
        clear=clear,
        reason=reason,
        wrong=wrong or {},
    )
