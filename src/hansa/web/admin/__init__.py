"""The pages of the staff: one shell, and a room for each thing to be looked after."""

from collections.abc import Sequence

from hansa.web.admin.banners import pages as banners
from hansa.web.admin.customers import pages as customers
from hansa.web.admin.dead_letters import pages as dead_letters
from hansa.web.admin.orders import pages as orders
from hansa.web.admin.products import pages as products
from hansa.web.admin.start import pages as start
from hansa.web.admin.transfers import pages as transfers
from hansa.web.pages import Page


def pages() -> Sequence[Page]:
    """All pages of the staff."""
    rooms = (start, products, orders, customers, banners, transfers, dead_letters)
    return [page for room in rooms for page in room()]
