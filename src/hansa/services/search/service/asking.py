"""What is asked of tantivy: a meaning as a query with its boosts, and what is chosen as filters.

The boosts are tuned on one half of the judged queries and checked on the other (`make relevance`).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tantivy

from hansa.services.search.rules.ordering import Choice
from hansa.services.search.rules.queries import Meaning, Unit
from hansa.services.search.rules.synonyms import Stems
from hansa.services.search.rules.words import han_grams, has_han
from hansa.services.search.service.index import Frequencies, ProductIndex

NAME = 3.0
"""A word in the name says most of what a product is."""
ABOUT = 2.0
"""Brand and category hold of many products, so a word there tells them apart less than one in the name."""
MORE = 0.5
"""Attributes and descriptions speak of much that a product is not: what it works with, what it is packed in."""
SYNONYM = 0.8
"""What was typed stands above what stands for it."""
TIE = 0.15
"""How much the weaker fields add to the strongest: a word in name and category counts a little more than once."""
CODE = 60.0
"""A model number, sku or GTIN is meant and nothing else."""
KIND = 60.0
"""Above what a few words in names can add up to: who looks for a printer does not look for its toner."""
HEAD = 30.0
"""A label printer is a printer, though not the first that comes to mind."""
OTHER_KIND = 4.0
"""What is mentioned beside the thing itself: in `notebook battery`, where no such kind is known, the notebook."""
BRAND = 12.0
"""Who names a maker means what it makes, not what fits it."""
FULL = 200.0
"""Where few products have all words, those with most of them follow: after all that have them all."""
PHRASE = 6.0
"""Words side by side as they were typed."""
LONGEST_PHRASE = 4
"""Words; longer queries are hardly ever found word for word, and looking takes time."""
AVAILABLE = 1.0
"""Of equals, what can be had comes first."""
UNPRICED = 1000.0
"""What cannot be bought in the currency stands below everything that can."""
HAN = 0.5
"""A Chinese word by its signs, where rjieba cut the product's name otherwise, against the word itself."""
RELAXED_SHARE = 0.6
"""Part of the words that must be found when nothing has all of them."""
MOST_WORDS = 4_096
"""Words of which the part of a query is remembered: a few thousand make up most of what people type."""

NAMED = (("name", NAME), ("about", ABOUT))
FIELDS = (*NAMED, ("more", MORE))

_MUST, _SHOULD = tantivy.Occur.Must, tantivy.Occur.Should


class Asked(NamedTuple):
    """A query in two forms: `matching` finds the same products as `ranking`, and is quicker where no order is asked."""

    matching: tantivy.Query
    ranking: tantivy.Query


NOTHING = Asked(tantivy.Query.empty_query(), tantivy.Query.empty_query())


class Asking:
    """Makes queries for one index."""

    def __init__(self, index: ProductIndex, frequencies: Frequencies) -> None:
        self._index = index
        self._schema = index.schema
        self._frequencies = frequencies
        self._words: dict[tuple[str, float], tantivy.Query | None] = {}
        available = frequencies.of("available", 1)
        # The shorter list is the quicker one to consult; it comes to the same order.
        self._stock = (1, AVAILABLE) if available * 2 < index.products else (0, -AVAILABLE)
        self._is_stock_alike = not frequencies.of("available", self._stock[0])
        self._unpriced = {
            currency: [(_SHOULD, self._constant("unpriced", place, -UNPRICED))]
            for place, currency in enumerate(index.currencies)
            if frequencies.of("unpriced", place)
        }

    def strict(self, meaning: Meaning, *, by_sign: bool = False) -> Asked:
        """Every unit is found; `by_sign`, Chinese ones by their signs wherever these stand."""
        units = [self._unit(unit, by_sign=by_sign) for unit in meaning.units]
        return self._asked(units, meaning, least=len(units))

    def unpriced(self, currency: str) -> list[tuple[tantivy.Occur, tantivy.Query]]:
        """What puts products without a price in the currency last; nothing where there are none."""
        return self._unpriced.get(currency, [])

    def relaxed(self, meaning: Meaning, *, by_sign: bool = False) -> Asked:
        """Most units are found; whatever has them all comes first, then the more, the better."""
        units = [self._unit(unit, by_sign=by_sign) for unit in meaning.units]
        asked = self._asked(units, meaning, least=max(1, round(len(units) * RELAXED_SHARE)))
        if asked is NOTHING or None in units:
            return asked  # nothing can be first for having all of them
        full = tantivy.Query.boolean_query([(_MUST, unit) for unit in units if unit is not None])
        first = tantivy.Query.const_score_query(full, FULL)
        return Asked(asked.matching, tantivy.Query.boolean_query([(_MUST, asked.ranking), (_SHOULD, first)]))

    def of_products(self, product_ids: Sequence[int], asked: Asked) -> Asked:
        """Of what is asked, these products alone."""
        only = tantivy.Query.const_score_query(tantivy.Query.term_set_query(self._schema, "id", product_ids), 0.0)
        return Asked(only, tantivy.Query.boolean_query([(_MUST, only), (_MUST, asked.ranking)]))

    def _asked(self, units: Sequence[tantivy.Query | None], meaning: Meaning, *, least: int) -> Asked:
        """NOTHING where it is known before looking: None stands for a unit that no product has."""
        wanted = _at_least(least, [unit for unit in units if unit is not None])
        is_by_code = meaning.code and not (len(meaning.units) == 1 and meaning.units[0].code)
        if is_by_code and self._frequencies.of("code", meaning.code):
            coded = self._constant("code", meaning.code, CODE)
            wanted = coded if wanted is None else tantivy.Query.disjunction_max_query([wanted, coded])
        if wanted is None:
            return NOTHING
        likings = self._likings(meaning)
        ranking = tantivy.Query.boolean_query([(_MUST, wanted), *likings]) if likings else wanted
        return Asked(matching=wanted, ranking=ranking)

    def filters(self, choice: Choice, *, currency: str, but: tuple[str, str] | None = None) -> list[tantivy.Query]:
        """What is chosen, but for one facet (its kind and name)."""
        found: list[tantivy.Query] = []
        if choice.category is not None and but != ("category", ""):
            path = self._index.values.path(choice.category)
            found.append(self._any_of("path", "category", "", () if path is None else (path,)))
        if choice.brands and but != ("brand", ""):
            found.append(self._any_of("brand", "brand", "", choice.brands))
        for name, values in choice.attributes.items():
            if values and but != ("attribute", name):
                found.append(self._any_of("choice", "attribute", name, values))
        if choice.bounds_price and but != ("price", ""):
            found.append(self.between(f"price_{currency}", choice.price_min, choice.price_max))
        if choice.in_stock:
            found.append(self._constant("available", 1, 0.0))
        return found

    def all_of(self, query: tantivy.Query | None, filters: Sequence[tantivy.Query]) -> tantivy.Query:
        """What matches a query (None: everything) and filters, which add nothing to the score."""
        if query is None and not filters:
            return tantivy.Query.all_query()
        parts = [(_MUST, part) for part in ([] if query is None else [query]) + list(filters)]
        return parts[0][1] if len(parts) == 1 else tantivy.Query.boolean_query(parts)

    def between(self, field: str, lowest: int | None, highest: int | None) -> tantivy.Query:
        """Whatever has a number within bounds, both included."""
        wanted = tantivy.Query.range_query(self._schema, field, tantivy.FieldType.Unsigned, lowest, highest)
        return tantivy.Query.const_score_query(wanted, 0.0)

    def terms(self, field: str, terms: Sequence[str]) -> tantivy.Query:
        """Whatever has any of some terms."""
        return tantivy.Query.boolean_query([(_SHOULD, self._term(field, term, 1.0)) for term in terms])

    def typed(self, words: Sequence[Stems]) -> tantivy.Query:
        """Whatever has all words in name, brand or category: for suggestions."""
        found = [self._word_of_fields(stem, 1.0, fields=NAMED) for stems in words for stem in stems]
        if None in found:
            return tantivy.Query.empty_query()
        return tantivy.Query.boolean_query([(_MUST, word) for word in found if word is not None])

    def liked(self) -> tantivy.Query:
        """Of equals, what can be had comes first."""
        return self._constant("available", *self._stock)

    def _unit(self, unit: Unit, *, by_sign: bool = False) -> tantivy.Query | None:
        """Whatever has one of the readings; None if nothing can have any."""
        readings = [
            reading
            for place, stems in enumerate(unit.readings)
            if (reading := self._reading(stems, 1.0 if place == 0 else SYNONYM)) is not None
        ]
        if by_sign and has_han(typed := "".join(unit.readings[0])):
            signs = [sign for sign in han_grams(typed) if len(sign) == 1]
            readings.append(self._grams(signs, NAME * HAN * HAN))
        if unit.code and self._frequencies.of("code", unit.code):
            readings.append(self._constant("code", unit.code, CODE))
        return _best(readings)

    def _reading(self, stems: Stems, boost: float) -> tantivy.Query | None:
        if len(stems) == 1:
            return self._word(stems[0], boost)
        words = [self._word(stem, boost) for stem in stems]
        found = [word for word in words if word is not None]
        return tantivy.Query.boolean_query([(_MUST, word) for word in found]) if len(found) == len(words) else None

    def _word(self, stem: str, boost: float) -> tantivy.Query | None:
        """Whatever has the word in any field; None if nothing has it."""
        known = (stem, boost)
        if known not in self._words:
            if len(self._words) >= MOST_WORDS:
                self._words.clear()
            self._words[known] = self._word_of_fields(stem, boost)
        return self._words[known]

    def _word_of_fields(
        self, stem: str, boost: float, *, fields: Sequence[tuple[str, float]] = FIELDS
    ) -> tantivy.Query | None:
        """Only of the fields where it stands: looking into the others takes time, and finds nothing."""
        found = [
            self._term(field, stem, weight * boost) for field, weight in fields if self._frequencies.of(field, stem)
        ]
        if has_han(stem):
            grams = han_grams(stem)
            found.append(self._grams([gram for gram in grams if len(gram) == 2] or grams, NAME * boost * HAN))
        return _best(found, TIE)

    def _grams(self, grams: Sequence[str], score: float) -> tantivy.Query:
        """Whatever has all of some Chinese signs or pairs of them in name or category."""
        terms = [(_MUST, self._constant("han", gram, 1.0)) for gram in grams]
        return tantivy.Query.const_score_query(tantivy.Query.boolean_query(terms), score)

    def _likings(self, meaning: Meaning) -> list[tuple[tantivy.Occur, tantivy.Query]]:
        """What makes a product better without being needed."""
        liked: list[tuple[tantivy.Occur, tantivy.Query]] = [] if self._is_stock_alike else [(_SHOULD, self.liked())]
        values = self._index.values
        kinds, heads = _telling(meaning.kinds, values.kinds), _telling((*meaning.kinds, *meaning.heads), values.heads)
        meant = [self._constant("kind", kind, KIND) for kind in kinds]
        meant += [self._constant("head", kind, HEAD) for kind in heads]
        if meant:
            liked.append((_SHOULD, tantivy.Query.disjunction_max_query(meant)))
        liked += [(_SHOULD, self._constant("kind", kind, OTHER_KIND)) for kind in meaning.others]
        for unit in meaning.units:
            brands = self._index.values.brands(readings=unit.readings)
            liked += [(_SHOULD, self._constant("brand", number, BRAND)) for number in brands]
        typed = [stem for unit in meaning.units for stem in unit.readings[0]]
        if 1 < len(typed) <= LONGEST_PHRASE and all(self._frequencies.of("name", stem) for stem in typed):
            phrase = tantivy.Query.phrase_query(self._schema, "name", list(typed))
            liked.append((_SHOULD, tantivy.Query.const_score_query(phrase, PHRASE)))
        return liked

    def _any_of(self, field: str, sort: str, name: str, values: Sequence[str]) -> tantivy.Query:
        numbers = [number for value in values if (number := self._index.values.find(sort, name, value)) is not None]
        if not numbers:
            return tantivy.Query.empty_query()
        if len(numbers) == 1:
            return self._constant(field, numbers[0], 0.0)
        terms = [(_SHOULD, self._term(field, number, 1.0)) for number in numbers]
        return tantivy.Query.const_score_query(tantivy.Query.boolean_query(terms), 0.0)

    def _term(self, field: str, value: str | int, boost: float) -> tantivy.Query:
        query = tantivy.Query.term_query(self._schema, field, value, index_option="freq")
        return query if boost == 1.0 else tantivy.Query.boost_query(query, boost)

    def _constant(self, field: str, value: str | int, score: float) -> tantivy.Query:
        query = tantivy.Query.term_query(self._schema, field, value, index_option="basic")
        return tantivy.Query.const_score_query(query, score)


def _at_least(least: int, units: Sequence[tantivy.Query]) -> tantivy.Query | None:
    """Whatever has so many of some units; None if there are too few."""
    if len(units) < least:
        return None
    if len(units) == least:
        return units[0] if least == 1 else tantivy.Query.boolean_query([(_MUST, unit) for unit in units])
    return tantivy.Query.boolean_query([(_SHOULD, unit) for unit in units], minimum_number_should_match=least)


def _best(queries: Sequence[tantivy.Query], tie: float = 0.0) -> tantivy.Query | None:
    """Whatever any of some queries finds, as good as the best says; None if there are none."""
    if len(queries) < 2:
        return queries[0] if queries else None
    return tantivy.Query.disjunction_max_query(queries, tie)


def _telling(kinds: Sequence[str], paths: Mapping[str, set[str]]) -> list[str]:
    """The kinds that are not other names, perhaps in other languages, of the same products."""
    seen: set[str] = set()
    telling = []
    for kind in dict.fromkeys(kinds):
        if not (found := paths.get(kind, set())) <= seen:
            telling.append(kind)
            seen |= found
    return telling
