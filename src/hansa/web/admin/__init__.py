"""The pages of the staff: one shell, and a room for each thing to be looked after."""

from collections.abc import Sequence
from dataclasses import replace

from hansa.platform.http.errors import NoSuchRoute
from hansa.web.admin.banners import pages as banners
from hansa.web.admin.customers import pages as customers
from hansa.web.admin.dead_letters import pages as dead_letters
from hansa.web.admin.orders import pages as orders
from hansa.web.admin.products import pages as products
from hansa.web.admin.shell import problem
from hansa.web.admin.start import pages as start
from hansa.web.admin.transfers import pages as transfers
from hansa.web.admin.webhooks import pages as webhooks
from hansa.web.pages import Book, Page
from hansa.web.visit import Shown, Visit


def pages() -> Sequence[Page]:
    """All pages of the staff."""
    rooms = (start, products, orders, customers, banners, transfers, webhooks, dead_letters)
    return _in_the_house([page for room in rooms for page in room()])


def addresses_of_nothing() -> Sequence[Page]:
    """All other addresses below the staff's: to be asked last. Only staff learn there that they are in the house."""
    book = Book()

    @book.personal("admin/{rest:path}")
    async def nothing(visit: Visit, *, rest: str) -> Shown:
        raise NoSuchRoute()

    return _in_the_house(book.pages)


def _in_the_house(pages: Sequence[Page]) -> Sequence[Page]:
    return [replace(page, problem=problem) for page in pages]
