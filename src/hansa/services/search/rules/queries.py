"""What a query means: its words in units, what may stand for each unit, and what kind of thing is looked for.

A unit is a word, an expression that has synonyms, or two words that are also written as one (`note book`); all units
must be found, each by one of its readings. The kind of thing is what the last words name (before `for`, `with`, …): of
`hp notebook battery` the battery.
"""

import itertools
import unicodedata
from collections.abc import Sequence
from typing import Protocol

import msgspec

from hansa.services.search.contract import LONGEST_QUERY
from hansa.services.search.rules.documents import code_of, is_code
from hansa.services.search.rules.kinds import LONGEST_KIND, joined
from hansa.services.search.rules.synonyms import LONGEST_SPAN, Stems, synonyms
from hansa.services.search.rules.words import stem, tokens

MOST_WORDS = 16
"""Words of a query that count."""
MOST_READINGS = 8
"""Readings of one unit, the one typed included."""
MOST_SPANS = 64
"""Readings of one span of units that are compared with the kinds there are."""

_STOP = frozenset({"a", "an", "the", "of", "and", "or", "i", "want", "need", "buy", "my", "is", "的", "和", "了"})
_BEFORE_PURPOSE = frozenset({"for", "with", "to", "from", "by", "without", "in", "on", "compatible"})
"""What follows these is not the thing looked for but what it is for."""


class Lexicon(Protocol):
    """What the index knows of words."""

    def count(self, word: str) -> int:
        """In how many products the word stands, as it is written, in name, brand or category."""
        ...

    def is_kind(self, kind: str) -> bool:
        """Whether a category or product type is called so."""
        ...

    def stands(self, stem: str) -> bool:
        """Whether any product has the stem in name, brand or category."""
        ...

    def is_named(self, stem: str) -> bool:
        """Whether any product has the stem in its name."""
        ...

    def is_said(self, stem: str) -> bool:
        """Whether any product has the stem anywhere, attributes and descriptions included."""
        ...

    def is_head(self, kind: str) -> bool:
        """Whether the name of a category or product type ends so."""
        ...


class Unit(msgspec.Struct, frozen=True):
    """What must be found: one of some readings, the typed one first. `code` is what it would be as a model number."""

    readings: tuple[Stems, ...]
    words: tuple[str, ...]
    code: str = ""


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """What a query looks for. `kinds` and `heads` name what the thing is, `others` what else is mentioned."""

    units: tuple[Unit, ...]
    kinds: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    code: str = ""
    """The whole query as a model number, if it may be one."""


class Word(msgspec.Struct, frozen=True):
    """A word of a query; `parts` are more than one in `dv7-1211ea`. `is_purpose`: it stands behind a `for`."""

    parts: tuple[str, ...]
    is_purpose: bool = False

    @property
    def text(self) -> str:
        return "".join(self.parts)


def words_of(query: str) -> list[Word]:
    """The words of a query that matter."""
    found: list[Word] = []
    kept: list[Word] = []
    is_purpose = False
    for token in tokens(readable(query), is_query=True):
        is_purpose = is_purpose or (bool(found) and token[0] in _BEFORE_PURPOSE)
        if token[0] in _BEFORE_PURPOSE or token[0] in _STOP:
            kept.append(Word(token))
        else:
            found.append(Word(token, is_purpose))
    return (found or kept)[:MOST_WORDS]


def readable(query: str) -> str:
    """A query without what is no text, and cut where nobody types on."""
    if query.isascii() and query.isprintable():
        return " ".join(query.split())[:LONGEST_QUERY]
    text = query[: LONGEST_QUERY * 4].encode("utf-8", "replace").decode("utf-8")
    text = "".join(" " if unicodedata.category(sign)[0] == "C" else sign for sign in text)
    return " ".join(text.split())[:LONGEST_QUERY]


def meaning(words: Sequence[Word], lexicon: Lexicon) -> Meaning:
    """What the words look for, as far as the index knows them."""
    found: list[Unit] = []
    purposes: list[bool] = []
    at = 0
    while at < len(words):
        unit, length = _unit(words[at:], lexicon)
        found.append(unit)
        purposes.append(words[at].is_purpose)
        at += length
    kinds, heads, others = _kinds(found, purposes, lexicon)
    whole = code_of("".join(word.text for word in words))
    may_be_code = is_code(whole) or (len(words) == 1 and len(words[0].parts) > 1)  # SUEDE-FLAT-CAP is a sku, too
    return Meaning(units=tuple(found), kinds=kinds, heads=heads, others=others, code=whole if may_be_code else "")


def _unit(words: Sequence[Word], lexicon: Lexicon) -> tuple[Unit, int]:
    """The unit that begins here, and of how many words it is."""
    known = synonyms()
    word = words[0]
    typed = _stems([word])
    # An expression of so many stems has no more words than that; two words may be written as one.
    longest = min(max(known.longest(typed[0]), 2), LONGEST_SPAN)
    span = [word, *itertools.takewhile(lambda other: other.is_purpose == word.is_purpose, words[1:longest])]
    for length in range(len(span), 0, -1):
        stems = _stems(span[:length])
        if length == 2 and (whole := _written_as_one(span[0], span[1], lexicon)):
            readings = (stems, (stem(whole),), *known.of((stem(whole),)), *known.of(stems))
            return Unit(_useful(readings, lexicon), (whole,)), length
        if known.knows(stems):
            return Unit(_useful((stems, *known.of(stems)), lexicon), _texts(span[:length])), length
    code = code_of(word.text)
    readings = (typed,) if len(word.parts) == 1 else (typed, (stem(word.text),))
    return Unit(readings, word.parts, code if is_code(code) else ""), 1


def _written_as_one(first: Word, second: Word, lexicon: Lexicon) -> str:
    """`note book` as notebook, if products call it so."""
    if len(first.parts) != 1 or len(second.parts) != 1:
        return ""
    whole = first.parts[0] + second.parts[0]
    if len(whole) < 4 or not whole.isascii() or whole.isdigit():
        return ""
    return whole if lexicon.count(whole) else ""


def _useful(readings: Sequence[Stems], lexicon: Lexicon) -> tuple[Stems, ...]:
    """The one typed, and of the others those that find something which a shorter one does not find already."""
    first, *others = dict.fromkeys(readings)
    kept: list[Stems] = []
    for reading in sorted(others, key=len):
        is_found = any(set(shorter) <= set(reading) for shorter in (first, *kept))
        # What is only a category's name in another script finds nothing that its own name does not find.
        is_foreign = "".join(first).isascii() and not "".join(reading).isascii()
        stands = lexicon.is_named if is_foreign else lexicon.stands
        if not "".join(first).isascii() and "".join(reading).isascii():
            stands = lexicon.is_said  # materials and colours are attributes, often in English only
        if not is_found and all(stands(stem) for stem in reading):
            kept.append(reading)
    return (first, *kept)[:MOST_READINGS]


def _stems(words: Sequence[Word]) -> Stems:
    return tuple([stem(part) for word in words for part in word.parts])


def _texts(words: Sequence[Word]) -> tuple[str, ...]:
    return tuple([part for word in words for part in word.parts])


def _kinds(
    units: Sequence[Unit], purposes: Sequence[bool], lexicon: Lexicon
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The kinds and heads of the thing looked for, and the kinds that are only mentioned."""
    spans: list[tuple[int, int, tuple[str, ...], tuple[str, ...]]] = []
    taken = [False] * len(units)
    # Both sorts of words stand in one row each, so that a span is mixed where its ends differ.
    for length in range(min(LONGEST_KIND, len(units)), 0, -1):
        for start in range(len(units) - length, -1, -1):
            end = start + length
            if purposes[start] != purposes[end - 1] or True in taken[start:end]:
                continue
            readings = _span_readings(units[start:end])
            kinds = tuple([kind for kind in readings if lexicon.is_kind(kind)])
            heads = tuple([kind for kind in readings if lexicon.is_head(kind)])
            if kinds or heads:
                taken[start:end] = [True] * length
                spans.append((start, end, kinds, heads))
    if not spans:
        return (), (), ()
    meant = max(spans, key=lambda span: (not purposes[span[0]], span[1]))
    others = tuple(kind for span in spans if span is not meant for kind in span[2])
    return meant[2], meant[3], others


def _span_readings(units: Sequence[Unit]) -> list[str]:
    if all(len(unit.readings) == 1 for unit in units):
        return [joined([stem for unit in units for stem in unit.readings[0]])]
    readings = itertools.product(*(unit.readings for unit in units))
    return list(dict.fromkeys(joined(itertools.chain(*reading)) for reading in itertools.islice(readings, MOST_SPANS)))
