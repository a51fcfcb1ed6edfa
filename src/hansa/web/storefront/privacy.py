"""What is stored of visitors, what for, and what they decide."""

from collections.abc import Sequence

from hansa.kernel import tags
from hansa.web.pages import Book, Page
from hansa.web.storefront.shell import shown
from hansa.web.visit import Shown, Visit


def pages() -> Sequence[Page]:
    book = Book()

    @book.public("privacy")
    async def privacy(visit: Visit) -> Shown:
        """The choice itself is the browser's: it is made, shown and kept by the script that would act on it."""
        return await shown(visit, "privacy.html", depends=(tags.CATEGORIES,))

    return book.pages
