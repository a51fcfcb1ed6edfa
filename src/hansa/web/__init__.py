"""The pages of a shop: the storefront for those who buy, and the staff's own. They call services by contract only."""

from collections.abc import Sequence

from starlette.routing import Route

from hansa.platform.http.observing import Observed
from hansa.web import admin, pages
from hansa.web.pages import Page
from hansa.web.site import Site
from hansa.web.storefront import (
    account,
    address_book,
    browse,
    cart,
    checkout,
    flash,
    front,
    indexes,
    orders,
    privacy,
    product,
    sessions,
)


def every_page() -> Sequence[Page]:
    """All pages and acts, the storefront's and the staff's."""
    return [
        *front.pages(),
        *browse.pages(),
        *product.pages(),
        *cart.pages(),
        *checkout.pages(),
        *flash.pages(),
        *orders.pages(),
        *sessions.pages(),
        *account.pages(),
        *address_book.pages(),
        *privacy.pages(),
        *admin.pages(),
    ]


def routes(site: Site, observed: Observed) -> Sequence[Route]:
    """All routes of pages."""
    found = [*every_page(), *admin.addresses_of_nothing()]
    return [*site.assets.routes(), *indexes.routes(site), *pages.routes(site, found, observed)]
