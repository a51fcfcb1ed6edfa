"""What surrounds the content of the shop's pages."""

from collections.abc import Sequence
from typing import Any

from hansa.kernel import tags
from hansa.kernel.errors import Fault
from hansa.services.products.contract import Category, Products
from hansa.web.visit import Shown, Visit


async def sections(visit: Visit) -> tuple[Category, ...]:
    """The departments of the navigation; none while products cannot be asked, for the page must still be shown."""
    try:
        return await visit.client(Products).categories(locale=visit.locale)
    except Fault:
        return ()


def crumbs(tree: Sequence[Category], path: str | None) -> list[Category]:
    """The categories from the root down to a path."""
    crumbs: list[Category] = []
    level: Sequence[Category] = tree
    for depth in range(1, len((path or "").split("/")) + 1):
        wanted = "/".join((path or "").split("/")[:depth])
        found = next((category for category in level if category.path == wanted), None)
        if found is None:
            break
        crumbs.append(found)
        level = found.children
    return crumbs


async def shown(
    visit: Visit,
    template: str,
    *,
    status: int = 200,
    is_indexed: bool = True,
    depends: tuple[str, ...] = (),
    **context: Any,
) -> Shown:
    """A page of the shop with its navigation. `depends` are the tags of what a public page shows besides; without any
    it is made anew each time."""
    context["sections"] = await sections(visit)
    return Shown(
        template=f"storefront/{template}",
        context=context,
        status=status,
        is_indexed=is_indexed,
        tags=(tags.CATEGORIES, *depends) if depends else (),
    )
