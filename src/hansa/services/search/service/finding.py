"""Finding: the query as typed, then what was probably meant, then what has most of it; a page, and its facets."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import tantivy

from hansa.kernel.ids import LARGEST
from hansa.kernel.page import CursorInvalid, read_cursor, write_cursor
from hansa.services.search.contract import Facet, Sort
from hansa.services.search.rules import queries
from hansa.services.search.rules.ordering import Choice, fingerprint
from hansa.services.search.rules.queries import Meaning, Word
from hansa.services.search.rules.synonyms import synonyms
from hansa.services.search.rules.words import han_grams, has_han, stem
from hansa.services.search.service import counting
from hansa.services.search.service.asking import NOTHING, Asked, Asking
from hansa.services.search.service.counting import Counting, Hits, Traits
from hansa.services.search.service.index import Frequencies, ProductIndex
from hansa.services.search.service.spelling import SHORTEST_PART, Spelling

FEW = 3
"""A query that finds fewer as typed may be misspelt though each of its words is known."""
ENOUGH = 10
"""Where fewer have all words, those that have most of them follow, until there are so many."""
RARE = 2
"""Products that have a word which may be their own misspelling."""
FAR_MORE = 20
"""How many times as often the word that was probably meant must stand."""
MOST_RANKED = 10_000
"""How far down a ranked list may be read; nobody goes there but machines, and they have `newest`."""
MOST_COMPLETIONS = 5
"""Words that a word which was not finished may become."""
MOST_MEANINGS = 256
"""Meanings remembered (a few kB each), for the next page of the same query."""

_CURSOR = "search"
_Print = Annotated[str, msgspec.Meta(max_length=64)]
_Key = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=MOST_RANKED)]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, all but the form of the answer."""

    q: str
    locale: str
    languages: tuple[str, ...]
    currency: str
    choice: Choice
    sort: Sort
    limit: int
    cursor: str | None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Ids of a page, and what goes with them."""

    ids: tuple[int, ...] = ()
    total: int = 0
    facets: tuple[Facet, ...] = ()
    corrected: str | None = None
    next_cursor: str | None = None


class Ranked(msgspec.Struct, frozen=True):
    """Where the best results stand in the index, and how many there are in all."""

    addresses: list[Any]
    total: int


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How a query is understood: None for everything. `page` is its first page, where that was looked for already.

    What is chosen besides words narrows what they find, and does not change how they are understood: so as many are
    found with a value as its facet said.
    """

    asked: Asked | None
    corrected: str | None = None
    page: Ranked | None = None


class Finding:
    """Finds in one generation of one index."""

    def __init__(self, index: ProductIndex, spelling: Spelling, traits: Traits | None = None) -> None:
        """`traits` are what is remembered of the index's products from one generation to the next."""
        self._index = index
        self._searcher = index.searcher
        self._spelling = spelling
        self._frequencies = Frequencies(index.searcher)
        self._asking = Asking(index, self._frequencies)
        self._counting = Counting(index, self._asking, traits or Traits())
        self._readings: dict[tuple[Any, ...], Reading] = {}

    def find(self, request: Request) -> Found:
        """A page of what a query finds. Raises CursorInvalid."""
        typed = queries.readable(request.q)
        sort = "newest" if request.sort == "relevance" and not typed else request.sort
        if sort.startswith("price") and request.currency not in self._index.currencies:
            sort = "newest"
        position = _position(request, typed)
        filters = self._asking.filters(request.choice, currency=request.currency)
        reading = self._reading(typed, request)
        matching = reading.asked.matching if reading.asked else None
        if sort == "relevance":
            page = reading.page if position[1] == 0 and not filters else None
            wanted = self._wanted(reading.asked, filters, currency=request.currency)
            ids, total, place, hits = self._ranked(wanted, page, limit=request.limit, shown=position[1])
        else:
            hits = None
            field = {"newest": "newest", "price_up": "rising", "price_down": "falling"}[sort]
            field = f"{field}_{request.currency}" if request.currency in self._index.currencies else "id"
            ids, total, place = self._ordered(
                matching, filters, field=field, limit=request.limit, position=position if request.cursor else None
            )
        facets = self._counting.facets(
            matching, request.choice, currency=request.currency, total=total, languages=request.languages, hits=hits
        )
        return Found(
            ids=tuple(ids),
            total=total,
            facets=facets,
            corrected=reading.corrected,
            next_cursor=write_cursor(_CURSOR, _mark(request, typed), *place) if place is not None else None,
        )

    # Pages

    def _wanted(self, asked: Asked | None, filters: Sequence[Any], *, currency: str) -> Any:
        wanted = self._asking.all_of(asked.ranking if asked else None, filters)
        last = self._asking.unpriced(currency)
        return tantivy.Query.boolean_query([(tantivy.Occur.Must, wanted), *last]) if last else wanted

    def _first(self, wanted: Any, *, limit: int) -> Ranked:
        """The first page and what follows it: all results where they are few, since these are counted for facets."""
        found = self._searcher.search(wanted, limit=max(limit + 1, counting.MOST_COUNTED_HERE), count=True)
        return Ranked([address for _, address in found.hits], _total(found))

    def _ranked(
        self, wanted: Any, page: Ranked | None, *, limit: int, shown: int
    ) -> tuple[list[int], int, tuple[int, int] | None, Hits | None]:
        """The last of it are all results, where they are known."""
        if shown:
            found = self._searcher.search(wanted, limit=limit + 1, offset=shown, count=True)
            page = Ranked([address for _, address in found.hits], _total(found))
        elif page is None:
            page = self._first(wanted, limit=limit)
        total, addresses = page.total, page.addresses
        is_more = len(addresses) > limit and shown + limit < MOST_RANKED
        is_all = len(addresses) == total <= counting.MOST_COUNTED_HERE
        ids = self._ids(addresses if is_all else addresses[:limit])
        hits = Hits(ids, addresses) if is_all else None
        return ids[:limit], total, (0, shown + limit) if is_more else None, hits

    def _ordered(
        self,
        query: Any,
        filters: Sequence[Any],
        *,
        field: str,
        limit: int,
        position: tuple[int, int] | None,
    ) -> tuple[list[int], int, tuple[int, int] | None]:
        """From a key on; of products with that key, as many are left out as were shown."""
        is_rising = field.startswith("rising")
        key, skipped = position or (0, 0)
        bounds = list(filters)
        if position is not None:
            bounds.append(self._asking.between(field, key, None) if is_rising else self._asking.between(field, 0, key))
        found = self._searcher.search(
            self._asking.all_of(query, bounds),
            limit=skipped + limit + 1,
            order_by_field=field,
            order=tantivy.Order.Asc if is_rising else tantivy.Order.Desc,
        )
        hits = found.hits[skipped:]
        total = _total(found)
        if position is not None:
            total = self._count(query, filters)
        page = hits[:limit]
        ids = self._ids([address for _, address in page])
        if len(hits) <= limit or not page:
            return ids, total, None
        last = int(page[-1][0])
        same = sum(1 for value, _ in page if int(value) == last)
        return ids, total, (last, same + (skipped if last == key and position is not None else 0))

    def _ids(self, addresses: list[Any]) -> list[int]:
        values = self._searcher.fast_field_values("id", addresses) if addresses else []
        return [int(value) for value in values if value is not None]

    # Understanding

    def _reading(self, typed: str, request: Request) -> Reading:
        if not typed:
            return Reading(asked=None)
        remembered = (typed, request.currency)
        if (known := self._readings.get(remembered)) is not None:
            return known
        reading = self._read(typed, currency=request.currency, limit=request.limit)
        if len(self._readings) >= MOST_MEANINGS:
            self._readings.clear()
        self._readings[remembered] = msgspec.structs.replace(reading, page=None)
        return reading

    def _read(self, typed: str, *, currency: str, limit: int) -> Reading:
        words = queries.words_of(typed)
        if not words:
            return Reading(asked=NOTHING)
        meant = queries.meaning(words, self)
        strict = self._asking.strict(meant)
        page = None if strict is NOTHING else self._first(self._wanted(strict, (), currency=currency), limit=limit)
        found = page.total if page is not None else 0
        if found and meant.code and self._is_code(meant.code):
            return Reading(asked=strict, page=page)
        if found < FEW and has_han(typed):
            by_sign = self._asking.strict(meant, by_sign=True)
            if by_its_signs := self._count(by_sign.matching):
                reading = Reading(asked=by_sign)
                if by_its_signs >= ENOUGH:
                    return reading
                return self._filled(meant, reading, currency=currency, by_sign=True)
        if found >= ENOUGH:
            return Reading(asked=strict, page=page)
        if found >= FEW or (found and all(self.count(word.text) > RARE for word in words)):
            return self._filled(meant, Reading(asked=strict, page=page), currency=currency)
        doubted = [place for place, word in enumerate(words) if self.count(word.text) <= RARE]
        better = self._corrected(words, doubted, above=found) or self._completed(words, above=found)
        if better is not None:
            return better
        return (
            self._filled(meant, Reading(asked=strict, page=page), currency=currency) if found else self._loosened(words)
        )

    def _filled(self, meant: Meaning, reading: Reading, *, currency: str, by_sign: bool = False) -> Reading:
        """With what has most of the words, until there are enough; not if a thing was named by its number or by one
        word."""
        if len(meant.units) == 1 or any(unit.code and self._is_code(unit.code) for unit in meant.units):
            return reading
        relaxed = self._asking.relaxed(meant, by_sign=by_sign)
        best = self._searcher.search(relaxed.ranking, limit=ENOUGH, count=False)
        addresses = [address for _, address in best.hits]
        # What has no price in the currency is among the best, too, but stands below them.
        page = None if self._asking.unpriced(currency) else Ranked(addresses, len(addresses))
        return Reading(asked=self._asking.of_products(self._ids(addresses), relaxed), page=page)

    def _completed(self, words: Sequence[Word], *, above: int) -> Reading | None:
        """The query with its last word, where that is none, as the most common word that begins so."""
        last = words[-1]
        if len(last.text) < SHORTEST_PART or not self._is_unknown(last):
            return None
        begun = self._searcher.terms_with_prefix("words", last.text, limit=MOST_COMPLETIONS)
        for whole, _ in begun:
            reading = self._instead([*words[:-1], Word((whole,), last.is_purpose)], above=above)
            if reading is not None:
                return reading
        return None

    def _corrected(self, words: Sequence[Word], doubted: Sequence[int], *, above: int) -> Reading | None:
        """The query with what was probably meant in place of some words, if that finds (many times) more."""
        mended: list[Word] = []
        for place, word in enumerate(words):
            mended += (self._mended(word) or [word]) if place in doubted else [word]
        return None if mended == list(words) else self._instead(mended, above=above)

    def _instead(self, words: Sequence[Word], *, above: int) -> Reading | None:
        """Other words than those typed, if they find something; many times more than those typed, if these do, too."""
        asked = self._asking.strict(queries.meaning(words, self))
        found = self._count(asked.matching)
        if not found and not above:
            known = [word for word in words if not self._is_unknown(word)]
            asked = self._asking.relaxed(queries.meaning(known, self)) if known else NOTHING
            found = self._count(asked.matching)
        if found <= above * FAR_MORE:
            return None
        return Reading(asked=asked, corrected=" ".join("-".join(word.parts) for word in words))

    def _mended(self, word: Word) -> list[Word] | None:
        """The nearest word, if it is far more common than this one; or the two words that were written as one."""
        text, count = word.text, self.count(word.text)
        # A word with synonyms is a word, though perhaps nothing here is called so.
        nearest = None if synonyms().knows((stem(text),)) else self._spelling.correct(text)
        if nearest is not None and nearest != text and self._spelling.count(nearest) > count * FAR_MORE:
            return [Word((nearest,), word.is_purpose)]
        if not count and (parts := self._parted(text)) is not None:
            return [Word((part,), word.is_purpose) for part in parts]
        return None

    def _is_code(self, code: str) -> bool:
        return 0 < self._frequencies.of("code", code) < ENOUGH

    def _parted(self, text: str) -> tuple[str, str] | None:
        """`flashdrive` as flash and drive, if products have both; of several ways the most common."""
        ways = [
            (min(self.count(text[:place]), self.count(text[place:])), text[:place], text[place:])
            for place in range(SHORTEST_PART, len(text) - SHORTEST_PART + 1)
        ]
        count, first, second = max(ways, default=(0, "", ""))
        return (first, second) if count else None

    def _loosened(self, words: Sequence[Word]) -> Reading:
        """Most of the words that any product has."""
        known = [word for word in words if not self._is_unknown(word)]
        return Reading(asked=self._asking.relaxed(queries.meaning(known or words, self)))

    def _count(self, query: Any, filters: Sequence[Any] = ()) -> int:
        if query is NOTHING.matching:
            return 0
        return _total(self._searcher.search(self._asking.all_of(query, filters), limit=1, count=True))

    def _is_unknown(self, word: Word) -> bool:
        return self.count(word.text) == 0 and not all(self._stands_somewhere(part) for part in word.parts)

    def _stands_somewhere(self, part: str) -> bool:
        known = stem(part)
        return any(self._frequencies.of(field, known) > 0 for field in ("name", "about", "more"))

    # What the meaning of a query asks of the index

    def count(self, word: str) -> int:
        return self._frequencies.of("words", word)

    def is_kind(self, kind: str) -> bool:
        return kind in self._index.values.kinds

    def stands(self, stem: str) -> bool:
        if has_han(stem) and all(self._frequencies.of("han", gram) > 0 for gram in han_grams(stem)):
            return True
        return any(self._frequencies.of(field, stem) > 0 for field in ("name", "about"))

    def is_named(self, stem: str) -> bool:
        return self._frequencies.of("name", stem) > 0

    def is_said(self, stem: str) -> bool:
        return self._stands_somewhere(stem)

    def is_head(self, kind: str) -> bool:
        return kind in self._index.values.heads


def _mark(request: Request, typed: str) -> str:
    """What a cursor is bound to."""
    return fingerprint(
        q=typed, locale=request.locale, currency=request.currency, choice=request.choice, sort=request.sort
    )


def _position(request: Request, typed: str) -> tuple[int, int]:
    """A key and a count, from a cursor of this very list. Raises CursorInvalid."""
    position = read_cursor(_CURSOR, request.cursor, _Print, _Key, _Count)
    if position is None:
        return 0, 0
    if position[0] != _mark(request, typed):
        raise CursorInvalid()
    return position[1], position[2]


def _total(found: Any) -> int:
    return int(found.count)
