"""The list of all products."""

from collections.abc import Sequence

from hansa.services.products.contract import Products
from hansa.web.admin.lists import PAGE, choice_of, cursor_of, filter_of, listed
from hansa.web.admin.products.categories import choices
from hansa.web.admin.shell import shown
from hansa.web.pages import Book, Page, Who
from hansa.web.visit import Shown, Visit

ORDERS = ("newest", "oldest", "slug")
STATES = ("active", "archived")


def pages() -> Sequence[Page]:
    book = Book(who=Who.STAFF)

    @book.personal("admin/products")
    async def products(visit: Visit) -> Shown:
        q, category = filter_of(visit, "q"), filter_of(visit, "category")
        status, order = choice_of(visit, "status", STATES), choice_of(visit, "order", ORDERS)
        tree = await choices(visit)
        if category not in {path for path, _ in tree}:
            category = ""
        page = await visit.client(Products).list_for_staff(
            locale=visit.locale,
            currency=visit.currency,
            q=q or None,
            status=status,
            category=category or None,
            order=order or "newest",
            limit=PAGE,
            cursor=cursor_of(visit),
        )
        found = listed(visit, page, q=q, status=status, category=category, order=order)
        return await shown(visit, "products/list.html", list=found, categories=tree, names=dict(tree))

    return book.pages
