"""Counting facets: one look for each set of filters, since what is chosen in a facet must not hide its other values."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

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

Facetted = tuple[str, str]
"""A facet's kind and, of an attribute, its name."""


class Counting:
    """Counts for one index."""

    def __init__(self, index: ProductIndex, asking: Asking) -> None:
        self._index = index
        self._asking = asking

    def facets(
        self, query: tantivy.Query | None, choice: Choice, *, currency: str, total: int, languages: Sequence[str]
    ) -> tuple[Facet, ...]:
        """Categories, brands, prices and the attributes that part the results best."""
        counts = self._count(query, choice, currency=currency, total=total)
        chosen_path = self._index.values.path(choice.category) if choice.category is not None else None
        found = [
            facets.category_facet(
                self._by_value(counts["category", ""].get("category")),
                chosen=chosen_path,
                names=self._index.values.categories,
                languages=languages,
            ),
            self._brands(counts, choice),
            self._prices(counts, choice, currency=currency),
        ]
        attributes = self._attributes(counts, choice, query, currency=currency, total=total)
        return (*(facet for facet in found if facet is not None), *attributes)

    def _count(
        self, query: tantivy.Query | None, choice: Choice, *, currency: str, total: int
    ) -> dict[Facetted, dict[str, Any]]:
        """What tantivy counted for each facet, and for the attributes that are not chosen under ("attribute", "")."""
        wanted: dict[Facetted, dict[str, Any]] = {
            ("category", ""): {"category": _terms("category", MOST_CATEGORIES)},
            ("brand", ""): {"brand": _terms("brand", ALL_OF_SEGMENT if choice.brands else facets.MOST_BRANDS)},
        }
        if currency in self._index.currencies:
            wanted["price", ""] = _prices(f"price_{currency}")
        is_chosen = {
            ("category", ""): choice.category is not None,
            ("brand", ""): bool(choice.brands),
            ("price", ""): choice.bounds_price,
        }
        most = MOST_OF_CATEGORY_FOR_ATTRIBUTES if choice.category is not None else MOST_FOR_ATTRIBUTES
        if total <= most or choice.attributes:
            wanted["attribute", ""] = {"choice": _terms("choice", MOST_VALUES)}
            for name in choice.attributes:
                wanted["attribute", name] = {"choice": _terms("choice", ALL_OF_SEGMENT)}
                is_chosen["attribute", name] = True
        looks: defaultdict[Facetted | None, dict[str, Any]] = defaultdict(dict)
        for facet, aggregations in wanted.items():
            looks[facet if is_chosen.get(facet) else None].update(aggregations)
        counted: dict[Facetted | None, dict[str, Any]] = {}
        for exempt, aggregations in looks.items():
            filters = self._asking.filters(choice, currency=currency, but=exempt)
            counted[exempt] = self._index.searcher.aggregate(self._asking.all_of(query, filters), aggregations)
        return {facet: counted[facet if is_chosen.get(facet) else None] for facet in wanted}

    def _by_value(self, counted: Any) -> dict[str, int]:
        key = self._index.values.key
        return {key(int(bucket["key"]))[2]: int(bucket["doc_count"]) for bucket in _buckets(counted)}

    def _brands(self, counts: dict[Facetted, dict[str, Any]], choice: Choice) -> Facet | None:
        by_brand = self._by_value(counts["brand", ""].get("brand"))
        for brand in choice.brands:
            by_brand.setdefault(brand, 0)
        if len(by_brand) < 2 and not choice.brands:
            return None
        values = facets.choice_values(by_brand, chosen=choice.brands, most=facets.MOST_BRANDS)
        return Facet(kind="brand", name="brand", label="brand", values=values)

    def _prices(self, counts: dict[Facetted, dict[str, Any]], choice: Choice, *, currency: str) -> Facet | None:
        counted = counts.get(("price", ""), {})
        stats = counted.get("price_stats") or {}
        if not stats.get("count"):
            return None
        # The step that begins at nothing comes without a beginning.
        steps = [(int(bucket.get("from", 0)), int(bucket["doc_count"])) for bucket in _buckets(counted["price_steps"])]
        return facets.price_facet(
            steps,
            lowest=int(stats["min"]),
            highest=int(stats["max"]),
            currency=currency,
            chosen=(choice.price_min, choice.price_max),
        )

    def _attributes(
        self,
        counts: dict[Facetted, dict[str, Any]],
        choice: Choice,
        query: tantivy.Query | None,
        *,
        currency: str,
        total: int,
    ) -> tuple[Facet, ...]:
        key = self._index.values.key
        found: dict[tuple[str, str], int] = {}
        for (kind, wanted), counted in counts.items():
            if kind != "attribute":
                continue
            for bucket in _buckets(counted.get("choice")):
                _, name, value = key(int(bucket["key"]))
                if name == wanted if wanted else name not in choice.attributes:
                    found[name, value] = int(bucket["doc_count"])
        return facets.attribute_facets(found, total=total, chosen=choice.attributes)


def _terms(field: str, size: int) -> dict[str, Any]:
    return {"terms": {"field": field, "size": size, "segment_size": ALL_OF_SEGMENT}}


def _prices(field: str) -> dict[str, Any]:
    ladder = facets.LADDER
    steps = [
        {"from": begin, **({"to": ladder[place + 1]} if place + 1 < len(ladder) else {})}
        for place, begin in enumerate(ladder)
    ]
    return {"price_stats": {"stats": {"field": field}}, "price_steps": {"range": {"field": field, "ranges": steps}}}


def _buckets(counted: Any) -> list[dict[str, Any]]:
    return counted["buckets"] if counted else []
