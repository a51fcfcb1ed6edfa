"""What is looked for besides what was typed: groups of words that mean the same, from a file."""

from collections import defaultdict
from functools import lru_cache
from pathlib import Path

from hansa.services.search.rules.words import stem, tokens

FILE = Path(__file__).with_name("synonyms.txt")
LONGEST_SPAN = 4
"""Words of the longest expression in the file that is recognised."""

Stems = tuple[str, ...]


class Synonyms:
    """Finds what stands for an expression; expressions are compared by their stems."""

    def __init__(self, text: str) -> None:
        self._others: defaultdict[Stems, dict[Stems, None]] = defaultdict(dict)
        self._longest: defaultdict[str, int] = defaultdict(int)
        self.words: dict[str, None] = {}
        """The single words in it, as they are written."""
        for line in text.splitlines():
            self._add(line.partition("#")[0])

    def of(self, span: Stems) -> tuple[Stems, ...]:
        """What is looked for besides an expression; empty if nothing is known of it."""
        return tuple(self._others.get(span, ()))

    def knows(self, span: Stems) -> bool:
        return span in self._others

    def longest(self, stem: str) -> int:
        """How many words an expression that begins with a stem has at most; 0 if none begins so."""
        return self._longest.get(stem, 0)

    def _add(self, line: str) -> None:
        left, arrow, right = line.partition("=>")
        written = (part.strip().lower() for part in line.replace("=>", ",").split(","))
        self.words |= dict.fromkeys(word for word in written if word.isalpha())
        asked = _expressions(left)
        meant = _expressions(right) if arrow else asked
        for expression in asked:
            self._longest[expression[0]] = max(self._longest[expression[0]], len(expression))
            for other in meant:
                if other != expression:
                    self._others[expression][other] = None


def _expressions(text: str) -> list[Stems]:
    found = (
        tuple(stem(word) for token in tokens(part, is_query=True, is_cut=True) for word in token)
        for part in text.split(",")
    )
    return [expression for expression in found if expression and len(expression) <= LONGEST_SPAN]


@lru_cache(maxsize=1)
def synonyms() -> Synonyms:
    """Those of the file, read once."""
    return Synonyms(FILE.read_text("utf-8"))
