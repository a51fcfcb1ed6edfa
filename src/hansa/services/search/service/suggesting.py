"""Suggestions while one types: the last word is taken as a beginning, the words before it as they are."""

from collections.abc import Sequence
from typing import Any

import tantivy

from hansa.services.search.contract import Suggestion
from hansa.services.search.rules import queries
from hansa.services.search.rules.documents import in_language
from hansa.services.search.rules.words import stem, surfaces
from hansa.services.search.service.asking import Asking
from hansa.services.search.service.index import Frequencies, ProductIndex
from hansa.services.search.service.spelling import Spelling

MOST_ENDINGS = 8
"""Words that a beginning may become."""
MOST_CATEGORIES = 3
MOST_QUERIES = 4
SHORTEST = 1


class Suggesting:
    """Suggests from one generation of one index."""

    def __init__(self, index: ProductIndex, spelling: Spelling) -> None:
        self._index = index
        self._searcher = index.searcher
        self._spelling = spelling
        self._asking = Asking(index, Frequencies(index.searcher))
        self._categories: dict[str, list[tuple[str, tuple[str, ...], str]]] = {}

    def suggest(self, q: str, *, languages: Sequence[str], limit: int) -> tuple[list[Suggestion], list[int]]:
        """Categories and queries, and the ids of products that may follow them."""
        words = [part for word in queries.words_of(q) for part in word.parts]
        if not words or len(words[-1]) < SHORTEST:
            return [], []
        *before, last = [self._known(word) for word in words[:-1]] + [words[-1]]
        filters = self._asking.typed([(stem(word),) for word in before]) if before else None
        endings = self._endings(last, filters)
        if not endings and (begun := self._spelling.begins(last)) is not None:
            endings = self._endings(begun, filters)
            last = begun
        categories = self._of_categories([*before, last], languages)[:MOST_CATEGORIES]
        found = [
            Suggestion(kind="query", text=text, target=text)
            for text in dict.fromkeys(" ".join([*before, ending]) for ending in endings)
        ][:MOST_QUERIES]
        room = max(limit - len(categories) - len(found), 0)
        return (categories + found)[:limit], self._products(before, endings, limit=room) if room else []

    def _known(self, word: str) -> str:
        if self._searcher.doc_freq("words", word) == 0 and (meant := self._spelling.correct(word)) is not None:
            return meant
        return word

    def _endings(self, last: str, filters: Any) -> list[str]:
        """The words that begin so, the most common first, each in one form."""
        counted = self._searcher.terms_with_prefix("words", last, filter_query=filters, limit=MOST_ENDINGS)
        by_stem: dict[str, str] = {}
        for word, _ in sorted(counted, key=lambda known: (-known[1], known[0])):
            by_stem.setdefault(stem(word), word)
        return list(by_stem.values())

    def _products(self, before: Sequence[str], endings: Sequence[str], *, limit: int) -> list[int]:
        if not endings:
            return []
        last = self._asking.terms("name", [stem(ending) for ending in endings])
        parts = [last] if not before else [self._asking.typed([(stem(word),) for word in before]), last]
        query = tantivy.Query.boolean_query(
            [*((tantivy.Occur.Must, part) for part in parts), (tantivy.Occur.Should, self._asking.liked())]
        )
        hits = self._searcher.search(query, limit=limit, count=False).hits
        values = self._searcher.fast_field_values("id", [address for _, address in hits]) if hits else []
        return [int(value) for value in values if value is not None]

    def _of_categories(self, words: Sequence[str], languages: Sequence[str]) -> list[Suggestion]:
        """Categories of whose names each word begins a word; the shortest names first."""
        found = [
            (len(text), text, path)
            for text, names, path in self._named(languages)
            if all(any(name.startswith(word) for name in names) for word in words)
        ]
        return [Suggestion(kind="category", text=text, target=path) for _, text, path in sorted(found)]

    def _named(self, languages: Sequence[str]) -> list[tuple[str, tuple[str, ...], str]]:
        """The categories' names in a language, with the words of their names in all."""
        language = languages[0]
        if language not in self._categories:
            self._categories[language] = [
                (
                    in_language(names, languages) or path,
                    tuple(dict.fromkeys(word for name in names.values() for word in (*surfaces(name), name))),
                    path,
                )
                for path, names in list(self._index.values.categories.items())
            ]
        return self._categories[language]
