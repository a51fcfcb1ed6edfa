"""Looking through all products as staff do."""

from typing import Annotated

import msgspec

from hansa.kernel.channel import MAIN
from hansa.kernel.ids import LARGEST
from hansa.kernel.page import Page, read_cursor, write_cursor
from hansa.platform.database.port import Reader
from hansa.services.products import rules
from hansa.services.products.contract import ProductSummary, Sorting
from hansa.services.products.service.showing import shown_summary
from hansa.services.products.store import listing, showing

_Number = Annotated[int, msgspec.Meta(ge=1, le=LARGEST)]
_CURSORS: dict[Sorting, tuple[str, object]] = {
    "newest": ("products-staff-newest", _Number),
    "oldest": ("products-staff-oldest", _Number),
    "slug": ("products-staff-slug", Annotated[str, msgspec.Meta(max_length=rules.LONGEST_NAME)]),
}


class Listing:
    """One look at one moment."""

    def __init__(self, *, reader: Reader, languages: rules.Languages, currency: str, now: int) -> None:
        self._reader = reader
        self._languages = languages
        self._currency = currency
        self._now = now

    async def page(
        self, *, q: str, status: str, category: str, order: Sorting, limit: int, cursor: str | None
    ) -> Page[ProductSummary]:
        """Raises CursorInvalid. Empty conditions are none."""
        kind, type_ = _CURSORS[order]
        position = read_cursor(kind, cursor, type_)
        rows = await listing.page(
            self._reader,
            q=_visible(q),
            status=status,
            category=category,
            order=order,
            position=position[0] if position else listing.BEGINNINGS[order],
            limit=limit + 1,
            languages=self._languages,
        )
        page = rows[:limit]
        variants = await showing.variants(
            self._reader, products=page, currency=self._currency, price_list=MAIN, now=self._now
        )
        more = page[-1]["slug" if order == "slug" else "product_id"] if len(rows) > limit else None
        return Page(
            items=tuple(
                shown_summary(row, variants[row["product_id"]], languages=self._languages, currency=self._currency)
                for row in page
            ),
            next_cursor=None if more is None else write_cursor(kind, more),
        )


def _visible(text: str) -> str:
    """Without characters that no name has, and of which PostgreSQL refuses one."""
    return "".join(character for character in text if character.isprintable()).strip()
