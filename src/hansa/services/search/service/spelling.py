"""What a word that no product has was probably meant to be: the nearest words that products do have."""

import itertools
from collections.abc import Sequence

import tantivy

from hansa.services.search.rules.words import LONGEST_WORD, is_plural, stem

SHORTEST = 3
"""Letters of a word that may be misspelt; among shorter ones everything is near everything."""
SHORTEST_BEGINNING = 4
"""Letters of the beginning of a word that may be misspelt."""
SHORTEST_WITH_TWO = 6
"""Letters of a word that may hold two mistakes."""
MOST_CANDIDATES = 32
MOST_REMEMBERED = 8_192
"""Corrections remembered: people misspell alike."""
SHORTEST_PART = 3
MOST_WORDS = 200_000
"""Words compared with; the most common ones, should there be more."""
HEAP_BYTES = 15_000_000


class Spelling:
    """The words of one generation of an index: a small index of its own, in memory, whose entries are words."""

    def __init__(self, words: Sequence[tuple[str, int]]) -> None:
        """`words` come with the number of products that have them."""
        counts = {word: count for word, count in words if _is_judged(word)}
        for word, count in list(counts.items()):
            # Things are named in the plural as often as not, and asked for in the singular.
            if len(word) > SHORTEST and is_plural(word) and word[:-1] == stem(word):
                counts[word[:-1]] = max(count, counts.get(word[:-1], 0))
        known = sorted(counts.items(), key=lambda known: (-known[1], known[0]))[:MOST_WORDS]
        self._known = known
        self._counts = dict(known)
        self._corrections: dict[str, str | None] = {}
        self._searcher: tantivy.Searcher | None = None
        builder = tantivy.SchemaBuilder()
        builder.add_text_field("word", tokenizer_name="raw", index_option="basic")
        builder.add_unsigned_field("place", fast=True)
        self._schema = builder.build()
        if not known:
            return
        index = tantivy.Index(self._schema)
        writer = index.writer(HEAP_BYTES, 1)
        for place, (word, _) in enumerate(known):
            document = tantivy.Document()
            document.add_text("word", word)
            document.add_unsigned("place", place)
            writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()
        index.reload()
        self._searcher = index.searcher()

    def correct(self, word: str) -> str | None:
        """The word that was probably meant, or None; not for numbers, short words, or scripts without letters."""
        if not _is_judged(word) or len(word) < SHORTEST:
            return None
        if word not in self._corrections:
            if len(self._corrections) >= MOST_REMEMBERED:
                self._corrections.clear()
            self._corrections[word] = self._nearest(word)
        return self._corrections[word]

    def count(self, word: str) -> int:
        """In how many products the word, or its plural, stands."""
        return self._counts.get(word, 0)

    def begins(self, start: str) -> str | None:
        """The most common word of which the beginning is nearly this."""
        if not _is_judged(start) or len(start) < SHORTEST_BEGINNING:
            return None
        query = tantivy.Query.fuzzy_term_query(self._schema, "word", start, 1, prefix=True)
        alike = [word for word, _ in self._found(query) if word[0] == start[0]]
        return alike[0] if alike else None

    def _nearest(self, word: str) -> str | None:
        for distance in (1, 2) if len(word) >= SHORTEST_WITH_TWO else (1,):
            query = tantivy.Query.fuzzy_term_query(self._schema, "word", word, distance)
            if found := self._found(query):
                # People seldom mistake the first letter; of equals, the common word was meant.
                # A letter that was not doubled is the mistake that is made most.
                return min(
                    found,
                    key=lambda known: (
                        known[0][0] != word[0],
                        _undoubled(known[0]) != _undoubled(word),
                        -known[1],
                        abs(len(known[0]) - len(word)),
                    ),
                )[0]
        return None

    def _found(self, query: tantivy.Query) -> list[tuple[str, int]]:
        if self._searcher is None:
            return []
        hits = self._searcher.search(query, limit=MOST_CANDIDATES, count=False).hits
        places = self._searcher.fast_field_values("place", [address for _, address in hits]) if hits else []
        return [self._known[int(place)] for place in sorted(place for place in places if place is not None)]


def _undoubled(word: str) -> str:
    return "".join(letter for letter, _ in itertools.groupby(word))


def _is_judged(word: str) -> bool:
    return word.isalpha() and len(word) <= LONGEST_WORD and not any("\u2e80" <= sign <= "\uffef" for sign in word)
