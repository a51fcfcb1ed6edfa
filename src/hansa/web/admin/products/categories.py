"""The category tree as one chooses from it."""

from collections.abc import Iterable, Iterator

from hansa.services.products.contract import Category, CategoryDraft, Products
from hansa.web.visit import Visit

BETWEEN = " › "


async def choices(visit: Visit) -> list[tuple[str, str]]:
    """All categories, each as its path and the names that lead to it."""
    return list(_flat(await visit.client(Products).categories(locale=visit.locale)))


def _flat(level: Iterable[Category], above: str = "") -> Iterator[tuple[str, str]]:
    for category in level:
        name = f"{above}{category.name}"
        yield category.path, name
        yield from _flat(category.children, f"{name}{BETWEEN}")


def draft_of(path: str) -> tuple[CategoryDraft, ...]:
    """A category that exists, as a draft names it: the names it has stay."""
    return tuple(CategoryDraft(slug=slug, names={}) for slug in path.split("/")) if path else ()
