"""The front page, and the way to it."""

from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

from hansa.kernel import tags
from hansa.services.home.contract import Home
from hansa.web.pages import Book, Page
from hansa.web.storefront.flash.sales import running
from hansa.web.storefront.shell import shown
from hansa.web.visit import Shown, Visit


def pages() -> Sequence[Page]:
    book = Book()

    @book.public("")
    async def front(visit: Visit) -> Shown:
        """From home's own read model: it stands even while products and orders are away."""
        front = await visit.client(Home).page(
            locale=visit.locale, currency=visit.currency, price_list=visit.site.channel.price_list
        )
        return await shown(
            visit,
            "home.html",
            depends=(tags.HOME, tags.SALES),
            front=front,
            sales=await running(visit),
            url_of=lambda link: _url_of(visit, link),
        )

    return book.pages


def _url_of(visit: Visit, link: str) -> str:
    """Where a banner leads: its page in this language and currency."""
    parts = urlsplit(link)
    return visit.url(parts.path, **parse_qs(parts.query))
