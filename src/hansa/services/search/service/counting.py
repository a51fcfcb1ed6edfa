"""Counting facets: one look for each set of filters, since what is chosen in a facet must not hide its other values.

A few results are counted here, from what is remembered of each product; many are counted by tantivy, which has a
higher price for the first result and a lower one for the next.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec
import tantivy

from hansa.services.search.contract import Facet
from hansa.services.search.rules import facets
from hansa.services.search.rules.ordering import Choice
from hansa.services.search.service.asking import Asking
from hansa.services.search.service.index import ProductIndex

MOST_CATEGORIES = 4_096
MOST_VALUES = 80
"""Values of all attributes together that are counted; the rarest are left out where there are more."""
ALL_OF_SEGMENT = 65_000
"""So that what is counted is exact: no part of the index leaves any out."""
MOST_FOR_ATTRIBUTES = 1_000
MOST_OF_CATEGORY_FOR_ATTRIBUTES = 4_000
"""Results past which attributes are not counted: little is common to so many, and counting would take longer than
finding. Within a category, more is. Categories, brands and prices always are."""
MOST_COUNTED_HERE = 150
"""Results past which tantivy counts."""
MOST_TRAITS = 50_000
"""Products of which it is remembered what they are counted by (about 200 bytes each)."""

Facetted = tuple[str, str]
"""A facet's kind and, of an attribute, its name."""


class Traits:
    """The values that products have, remembered by product: numbers of Values, packed by `array("I")`."""

    def __init__(self) -> None:
        self._by_product: dict[int, bytes] = {}

    def count(self, searcher: tantivy.Searcher, hits: "Hits") -> Counter[int]:
        """How many results have which value."""
        known = self._by_product
        try:
            packed = b"".join([known[product] for product in hits.products])
        except KeyError:
            packed = b"".join(self._read(searcher, hits))
        return Counter(memoryview(packed).cast("I"))

    def forget(self, products: Iterable[int]) -> None:
        """Products have others from now on; of none in particular, all may."""
        gone = list(products)
        for product in gone:
            self._by_product.pop(product, None)
        if not gone:
            self._by_product.clear()

    def _read(self, searcher: tantivy.Searcher, hits: "Hits") -> list[bytes]:
        known = self._by_product
        if len(known) + len(hits.products) > MOST_TRAITS:
            known.clear()
        for product, address in zip(hits.products, hits.addresses, strict=True):
            if product not in known:
                known[product] = cast(bytes, searcher.doc(address).get_first("traits") or b"")
        return [known[product] for product in hits.products]


class Hits(msgspec.Struct, frozen=True):
    """Results: all of them, none left out. `products` are their ids, `addresses` where they stand in the index."""

    products: list[int]
    addresses: list[Any]


class Counted(msgspec.Struct, frozen=True):
    """How many results have which number of Values, and how many have a price of which step of the ladder."""

    categories: Mapping[int, int] = {}
    brands: Mapping[int, int] = {}
    values: Mapping[int, int] = {}
    lowest: int | None = None
    highest: int | None = None
    steps: Sequence[tuple[int, int]] = ()


class Counting:
    """Counts in one generation of one index."""

    def __init__(self, index: ProductIndex, asking: Asking, traits: Traits) -> None:
        self._index = index
        self._searcher = index.searcher
        self._asking = asking
        self._traits = traits

    def facets(
        self,
        query: tantivy.Query | None,
        choice: Choice,
        *,
        currency: str,
        total: int,
        languages: Sequence[str],
        hits: Hits | None = None,
    ) -> tuple[Facet, ...]:
        """Categories, brands, prices and the attributes that part the results best. `hits` are the results, if they
        are known already."""
        has_attributes = bool(choice.attributes) or total <= (
            MOST_FOR_ATTRIBUTES if choice.category is None else MOST_OF_CATEGORY_FOR_ATTRIBUTES
        )
        is_usual = {
            "category": choice.category is None,
            "brand": not choice.brands,
            "price": not choice.bounds_price,
            "attribute": has_attributes,
        }
        kinds = [kind for kind, is_counted in is_usual.items() if is_counted]
        usual = self._count(query, choice, currency, kinds, total=total, hits=hits)

        def without(kind: str, name: str = "") -> Counted:
            return self._count(query, choice, currency, [kind], but=(kind, name))

        by_category = usual if is_usual["category"] else without("category")
        by_brand = usual if is_usual["brand"] else without("brand")
        by_price = usual if is_usual["price"] else without("price")
        attributes = self._by_attribute(usual.values)
        for name in choice.attributes:
            attributes[name] = self._by_attribute(without("attribute", name).values).get(name, {})
        found = (
            facets.category_facet(
                self._by_value(by_category.categories),
                chosen=self._index.values.path(choice.category) if choice.category is not None else None,
                names=self._index.values.categories,
                languages=languages,
            ),
            facets.brand_facet(self._by_value(by_brand.brands), chosen=choice.brands),
            facets.price_facet(
                by_price.steps,
                lowest=by_price.lowest,
                highest=by_price.highest,
                currency=currency,
                chosen=(choice.price_min, choice.price_max),
            ),
        )
        by_attribute = facets.attribute_facets(attributes, total=total, chosen=choice.attributes)
        return (*(facet for facet in found if facet is not None), *by_attribute)

    def _count(
        self,
        query: tantivy.Query | None,
        choice: Choice,
        currency: str,
        kinds: Sequence[str],
        *,
        but: Facetted | None = None,
        total: int = 0,
        hits: Hits | None = None,
    ) -> Counted:
        """What is found by a query and all that is chosen, but for one facet; `total` is 0 where it is not known."""
        wanted = self._asking.all_of(query, self._asking.filters(choice, currency=currency, but=but))
        if hits is None and total <= MOST_COUNTED_HERE:
            hits = self._few(wanted)
        if hits is None:
            return self._count_many(wanted, currency, kinds, is_exact=but is not None)
        values = self._traits.count(self._searcher, hits) if "attribute" in kinds else {}
        lowest, highest, steps = _steps(
            self._numbers(f"price_{currency}", hits) if self._prices(kinds, currency) else []
        )
        return Counted(
            Counter(self._numbers("category", hits)) if "category" in kinds else {},
            Counter(self._numbers("brand", hits)) if "brand" in kinds else {},
            values if but is not None else _common(values),
            lowest,
            highest,
            steps,
        )

    def _prices(self, kinds: Sequence[str], currency: str) -> bool:
        return "price" in kinds and currency in self._index.currencies

    def _numbers(self, field: str, hits: Hits) -> list[int]:
        numbers = self._searcher.fast_field_values(field, hits.addresses) if hits.addresses else []
        return [cast(int, number) for number in numbers if number is not None]

    def _few(self, query: tantivy.Query) -> Hits | None:
        """All results, in no order; None if they are many."""
        found = self._searcher.search(query, limit=MOST_COUNTED_HERE + 1, count=False, order_by_field="id")
        if len(found.hits) > MOST_COUNTED_HERE:
            return None
        return Hits([int(product) for product, _ in found.hits], [address for _, address in found.hits])

    def _count_many(self, query: tantivy.Query, currency: str, kinds: Sequence[str], *, is_exact: bool) -> Counted:
        wanted: dict[str, Any] = {}
        if "category" in kinds:
            wanted["category"] = _terms("category", MOST_CATEGORIES)
        if "brand" in kinds:
            wanted["brand"] = _terms("brand", ALL_OF_SEGMENT if is_exact else facets.MOST_BRANDS)
        if "attribute" in kinds:
            wanted["choice"] = _terms("choice", ALL_OF_SEGMENT if is_exact else MOST_VALUES)
        if self._prices(kinds, currency):
            wanted |= _prices(f"price_{currency}")
        counted = self._searcher.aggregate(query, wanted)
        categories, brands, values = (_numbers(counted.get(field)) for field in ("category", "brand", "choice"))
        stats = counted.get("price_stats") or {}
        if not stats.get("count"):
            return Counted(categories, brands, values)
        # The step that begins at nothing comes without a beginning.
        steps = [(int(bucket.get("from", 0)), int(bucket["doc_count"])) for bucket in counted["price_steps"]["buckets"]]
        return Counted(categories, brands, values, int(stats["min"]), int(stats["max"]), steps)

    def _by_value(self, counts: Mapping[int, int]) -> dict[str, int]:
        keys = self._index.values.keys
        return {keys[number][2]: count for number, count in counts.items()}

    def _by_attribute(self, counts: Mapping[int, int]) -> dict[str, dict[str, int]]:
        keys = self._index.values.keys
        found: dict[str, dict[str, int]] = {}
        for number, count in counts.items():
            _, name, value = keys[number]
            if name in found:
                found[name][value] = count
            else:
                found[name] = {value: count}
        return found


def _common(values: Mapping[int, int]) -> Mapping[int, int]:
    """Without those that as many others outdo as are counted at most."""
    if len(values) <= MOST_VALUES:
        return values
    least = sorted(values.values(), reverse=True)[MOST_VALUES]
    return {number: count for number, count in values.items() if count > least}


def _steps(amounts: list[int]) -> tuple[int | None, int | None, Sequence[tuple[int, int]]]:
    """The lowest and highest of some prices, and how many there are of each step of the ladder."""
    if not amounts:
        return None, None, ()
    amounts.sort()
    places = [bisect_left(amounts, begin) for begin in facets.LADDER]
    ends = [*places[1:], len(amounts)]
    steps = [(begin, end - place) for begin, place, end in zip(facets.LADDER, places, ends, strict=True)]
    return amounts[0], amounts[-1], steps


def _terms(field: str, size: int) -> dict[str, Any]:
    return {"terms": {"field": field, "size": size, "segment_size": ALL_OF_SEGMENT}}


def _prices(field: str) -> dict[str, Any]:
    ladder = facets.LADDER
    steps = [
        {"from": begin, **({"to": ladder[place + 1]} if place + 1 < len(ladder) else {})}
        for place, begin in enumerate(ladder)
    ]
    return {"price_stats": {"stats": {"field": field}}, "price_steps": {"range": {"field": field, "ranges": steps}}}


def _numbers(counted: Any) -> dict[int, int]:
    return {int(bucket["key"]): bucket["doc_count"] for bucket in counted["buckets"]} if counted else {}
