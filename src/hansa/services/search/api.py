"""The public routes of search."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from hansa.kernel import tags
from hansa.kernel.page import Limit
from hansa.platform.http.errors import BodyInvalid
from hansa.platform.http.request import AnyText
from hansa.platform.http.route import ANYONE, Api, Call, Route
from hansa.services.search.contract import (
    LONGEST_QUERY,
    MOST_CHOSEN,
    MOST_SUGGESTIONS,
    Amount,
    Chosen,
    Results,
    Search,
    Sort,
    Suggestion,
)


class SearchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for. `brand` and `attribute` (as `name:value`) may stand there several times; prices are in minor
    units."""

    q: AnyText = ""
    category: str | None = None
    brand: Chosen = ()
    attribute: Chosen = ()
    price_min: Amount | None = None
    price_max: Amount | None = None
    in_stock: bool = False
    sort: Sort = "relevance"
    limit: Limit = 20
    cursor: str | None = None


class SuggestionsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is being typed."""

    q: AnyText = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_SUGGESTIONS)] = 8


class Suggestions(msgspec.Struct, frozen=True, kw_only=True):
    """How it may go on."""

    items: tuple[Suggestion, ...]


def routes(search: Search) -> Sequence[Route]:
    api = Api("search")

    @api.get("/search", access=ANYONE, calls=Search.search, is_public_read=True, tags=(tags.SEARCH,))
    async def search_products(call: Call, *, query: SearchQuery) -> Results:
        """Products that match a text (any text; none: all) and what is chosen, with facets to choose from."""
        return await search.search(
            q=query.q[: LONGEST_QUERY * 2],
            locale=call.locale,
            currency=call.currency,
            price_list=call.channel.price_list,
            category=query.category or None,
            brands=query.brand,
            attributes=_by_name(query.attribute),
            price_min=query.price_min,
            price_max=query.price_max,
            in_stock=query.in_stock,
            sort=query.sort,
            limit=query.limit,
            cursor=query.cursor,
        )

    @api.get("/search/suggestions", access=ANYONE, calls=Search.suggest, is_public_read=True, tags=(tags.SEARCH,))
    async def suggest(call: Call, *, query: SuggestionsQuery) -> Suggestions:
        """How what is being typed may go on."""
        found = await search.suggest(
            q=query.q[: LONGEST_QUERY * 2], locale=call.locale, currency=call.currency, limit=query.limit
        )
        return Suggestions(items=found)

    return api.routes


def _by_name(attributes: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """`("colour:red", "colour:blue")` by name. Raises BodyInvalid for one without a colon."""
    found: dict[str, tuple[str, ...]] = {}
    for attribute in attributes[:MOST_CHOSEN]:
        name, colon, value = attribute.partition(":")
        if not colon:
            raise BodyInvalid(reason="an attribute is written as name:value", pointer="/attribute")
        found[name] = (*found.get(name, ()), value)
    return found
