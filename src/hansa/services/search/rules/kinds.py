"""What kind of thing a product is, in the words that people ask with: `notebook`, not `notebook bag`.

The names of a product's own category say it best, and its attribute `product type` where it has one. A kind is kept as
its stems without spaces (`notebookbag`), so that `note book bag` finds it too. In English and in Chinese what comes
last is the thing itself, so a kind is also known, less surely, by its last words (`bag`).
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from hansa.services.search.rules.words import is_plural, stem, tokens

TYPE_NAMES = frozenset({"product type", "product_type", "kind", "种类", "产品类型"})
"""Attributes whose value says what kind of thing a product is."""
LONGEST_KIND = 5
"""Words of a kind; longer texts are descriptions."""
MOST_REMEMBERED = 2_048
_AND = re.compile(r"\s+and\s+|\s*[&,;/]\s*|(?<=[\u4e00-\u9fff])[与和、](?=[\u4e00-\u9fff])", re.IGNORECASE)


def joined(stems: Iterable[str]) -> str:
    """A kind as it is kept."""
    return "".join(stems)


@lru_cache(maxsize=MOST_REMEMBERED)
def kinds_of(names: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """The kinds that names state, and those that they end with."""
    stated: set[str] = set()
    ended: set[str] = set()
    for name in names:
        for words in _several(name):
            if 0 < len(words) <= LONGEST_KIND:
                stated.add(joined(words))
                ended.update(joined(words[start:]) for start in range(1, len(words)))
    return frozenset(stated), frozenset(ended - stated)


def _several(name: str) -> list[Sequence[str]]:
    """`Mice and pads` is two kinds; `Serial and parallel cables` are serial cables and parallel cables."""
    parts = [words for part in _AND.split(name) if (words := _words(part))]
    if not parts:
        return []
    last = parts[-1]
    completed = [
        words if is_plural(words[-1]) or not words[-1].isascii() or not is_plural(last[-1]) else [*words, last[-1]]
        for words in parts
    ]
    whole = _words(name) if len(parts) == 1 else []
    return [[stem(word) for word in words] for words in (*completed, whole) if words]


def _words(text: str) -> list[str]:
    return [part for token in tokens(text, is_query=True) for part in token]
