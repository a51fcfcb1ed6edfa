"""What may be asked of search, and every way search may say no."""

from datetime import datetime
from typing import Annotated, Literal, Protocol

import msgspec

from hansa.kernel.channel import MAIN
from hansa.kernel.contract import Key, command, query
from hansa.kernel.ids import Id
from hansa.kernel.money import Currency, Money
from hansa.kernel.page import CursorInvalid, Limit

LONGEST_QUERY = 200
"""Characters of a query that count; what follows is not read."""
MOST_CHOSEN = 50
"""Most values chosen within one facet, and most attributes chosen from."""
MOST_SUGGESTIONS = 20

Sort = Literal["relevance", "newest", "price_up", "price_down"]
"""`relevance` of an empty query is `newest`. By price, products without one in the currency come last."""
Amount = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
Chosen = Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST_CHOSEN)]


class Picture(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A product's first picture, with the alternative text in the language asked for."""

    url: str
    alt: str = ""


class Item(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A product as a list shows it. The prices are None where it has none in the currency asked for."""

    id: Id
    slug: str
    name: str
    brand: str | None
    category: str | None
    """The category's path of slugs."""
    image: Picture | None
    price_from: Money | None
    price_to: Money | None
    tax_included: bool
    available: bool
    """Whether any variant can be had."""
    options: dict[str, int]
    """How many different values each option has among the variants: `{"colour": 3, "size": 5}`."""


class FacetValue(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One value to choose. `count` is how many products would be found with it and what is chosen in other facets.

    A value of the price is `<from>-<to>` in minor units; `<from>-` has no upper end.
    """

    value: str
    label: str
    count: int
    is_chosen: bool = False


class Facet(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the results can be narrowed by. `category`: `value` is a path, the children of the chosen one (or, where it
    has none, its sisters). `brand`; `price`: ranges, with the lowest and highest price. `attribute`: an attribute or
    an option of variants, `name` is its name."""

    kind: Literal["category", "brand", "price", "attribute"]
    name: str
    label: str
    values: tuple[FacetValue, ...]
    lowest: Money | None = None
    highest: Money | None = None


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """What a query found. `corrected` is what was looked for instead, when nothing was found as typed."""

    items: tuple[Item, ...]
    total: int
    facets: tuple[Facet, ...] = ()
    corrected: str | None = None
    next_cursor: str | None = None


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """How what is being typed may go on. `target` is a product's slug, a category's path, or a query."""

    kind: Literal["product", "category", "query"]
    text: str
    target: str


class Building(msgspec.Struct, frozen=True, kw_only=True):
    """How far the index is. `done` of `total` products (0: not known yet) are in the index that is being built."""

    is_running: bool
    done: int
    total: int
    products: int
    """Products that can be found at present."""
    as_of: datetime | None
    """What was heard before this moment can be found; None before the first index is complete."""
    failure: str | None = None
    """Why the last building ended without an index, if it did."""


class Search(Protocol):
    """Active products by words and facets. A read model: what is edited is found within a second."""

    @query(errors=(CursorInvalid,))
    async def search(
        self,
        *,
        q: str,
        locale: str,
        currency: Currency,
        price_list: str = MAIN,
        category: str | None = None,
        brands: Chosen = (),
        attributes: Annotated[dict[str, Chosen], msgspec.Meta(max_length=MOST_CHOSEN)] | None = None,
        price_min: Amount | None = None,
        price_max: Amount | None = None,
        in_stock: bool = False,
        sort: Sort = "relevance",
        limit: Limit = 20,
        cursor: str | None = None,
    ) -> Results:
        """Products that match a query (any text; empty: all) and everything chosen.

        Values chosen within a facet are alternatives; facets add up. `category` is a path and means all below it;
        `price_min` and `price_max` (minor units, both included) bound `price_from`.
        """
        ...

    @query()
    async def suggest(
        self,
        *,
        q: str,
        locale: str,
        currency: Currency,
        limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_SUGGESTIONS)] = 8,
    ) -> tuple[Suggestion, ...]:
        """How what is being typed may go on: categories, queries that find something, and products."""
        ...

    @command()
    async def rebuild(self, *, key: Key) -> None:
        """Begin to build the index anew from all products; what is there answers meanwhile. See `building`.

        While one is under way, another one is not begun.
        """
        ...

    @query()
    async def building(self) -> Building:
        """How far the index is."""
        ...
