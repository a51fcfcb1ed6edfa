"""What the staff's lists have in common: filters that stand in the address, and pages by cursor."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hansa.kernel.page import Page
from hansa.web.visit import Visit

PAGE = 50
LONGEST_FILTER = 200
LONGEST_CURSOR = 1_500


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A page of a list with the addresses of the next and of the first one, where there are such."""

    items: Sequence[Any]
    filters: dict[str, str]
    next_url: str
    first_url: str

    @property
    def is_filtered(self) -> bool:
        return any(value for name, value in self.filters.items() if name != "order")


def filter_of(visit: Visit, name: str) -> str:
    """The text of a filter; empty for none."""
    return visit.query.get(name, "").strip()[:LONGEST_FILTER]


def choice_of(visit: Visit, name: str, choices: Sequence[str]) -> Any:
    """One of some words, or None: a word that is none of them is as good as none."""
    chosen = visit.query.get(name)
    return chosen if chosen in choices else None


def cursor_of(visit: Visit) -> str | None:
    return visit.query.get("cursor", "")[:LONGEST_CURSOR] or None


def listed(visit: Visit, page: Page[Any], **filters: Any) -> Listed:
    """A page of a list with its filters."""
    kept = {name: str(value or "") for name, value in filters.items()}
    return Listed(
        items=page.items,
        filters=kept,
        next_url=visit.url(visit.path, **kept, cursor=page.next_cursor) if page.next_cursor else "",
        first_url=visit.url(visit.path, **kept) if cursor_of(visit) else "",
    )
