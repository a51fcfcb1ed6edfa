"""How texts, products' and people's alike, become words that can be compared.

A text becomes tokens; a token has one part (`notebook`, `16gb`, `1920x1080`, `40inch`) or, where signs join several
(`dv7-1211ea`, `t-shirt`, `cat.6`), more. Chinese has no spaces: rjieba cuts it, for products into words and the shorter
words within them, for queries into words only. A stem stands for all forms of an English word.
"""

import re
import sys
import unicodedata
from functools import lru_cache
from typing import Any

import tantivy

LONGEST_TEXT = 20_000
LONGEST_WORD = 60
"""What is longer is no word that anybody looks for."""
MOST_STEMS = 8_192
MOST_CHUNKS = 8_192
"""Stems, and words of pieces of texts, that are remembered."""

Token = tuple[str, ...]

_UNITS = {
    **{name: name for name in ("gb", "tb", "mb", "kb", "cm", "mm", "m", "ft", "ghz", "mhz", "hz", "mah", "w", "v")},
    **{name: name for name in ("va", "kva", "mp", "ppm", "dpi", "kg", "g", "l", "ml", "gbps", "mbps", "u", "pin")},
    **{'"': "inch", "''": "inch", "″": "inch", "”": "inch", "inch": "inch", "inches": "inch", "in": "inch"},
    **{"gbyte": "gb", "gigabyte": "gb", "terabyte": "tb", "watt": "w", "watts": "w", "volt": "v", "feet": "ft"},
    **{"foot": "ft", "meter": "m", "metre": "m", "meters": "m", "metres": "m", "英寸": "inch", "寸": "inch"},
    **{"megapixel": "mp", "megapixels": "mp"},
}
"""Units that are read together with their number, however they are written."""
_DOUBTFUL = frozenset({"u", "g", "l", "v", "w", "in", "pin"})
"""Units that may be another word when a space stands before them: then both readings are kept."""
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff々〇"
_WORD = rf"[^\W_{_HAN}]"
_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_DOUBTFUL_UNIT = "|".join(sorted(_DOUBTFUL))
_FIGURE = r"[0-9]+(?:[.,][0-9]+)*"
_SPACED = [
    (re.compile(rf"(?<![\w.,])([0-9]+(?:\.[0-9]+)?)\s?[x×]\s?(?=[0-9]+(?:\.[0-9]+)?(?!\s?[gtm]b)(?!{_WORD}))"), r"\1x"),
    (re.compile(rf"(?<!\w)({_FIGURE})[\s-](?=(?:{_DOUBTFUL_UNIT})(?!{_WORD}))"), r"\1/"),
    (re.compile(rf"(?<!\w)({_FIGURE})[\s-](?=(?:{_UNIT})(?!{_WORD}))"), r"\1"),
]
"""What stands apart and belongs to the figure before it: `1920 x 1080`, `700 W` (both readings are kept), `4 GB`."""
_TOKEN = re.compile(
    rf"""
    (?P<size>[0-9]+(?:\.[0-9]+)?(?:x[0-9]+(?:\.[0-9]+)?)+)(?:cm|mm|px|pixels)?(?!{_WORD})
    |(?P<number>{_FIGURE})(?P<unit>{_UNIT})(?!{_WORD})
    |(?P<plain>[0-9]+(?:[.,][0-9]+)+)(?!{_WORD})
    |(?P<before>[^\W\d_{_HAN}]{{2,}})(?P<version>[0-9]\.[0-9])(?!{_WORD})
    |(?P<han>[{_HAN}]+)
    |(?P<word>{_WORD}+(?:['’.\-/+·]{_WORD}+)*)
    """,
    re.VERBOSE,
)
_MEASURE = re.compile(rf"[0-9]+(?:\.[0-9]+)?(?:{_UNIT}|(?:x[0-9]+(?:\.[0-9]+)?)+)")
_ANY_FIGURE = re.compile("[0-9]")
_ANY_HAN = re.compile(f"[{_HAN}]")
_HAN_RUN = re.compile(f"[{_HAN}]+")
LONG_TEXT = (
    tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.regex(r"[0-9]+(?:\.[0-9]+)?[a-z]*|[\p{L}\p{N}]+"))
    .filter(tantivy.Filter.remove_long(LONGEST_WORD))
    .filter(tantivy.Filter.stemmer("english"))
    .build()
)
"""Cuts what `plain_words` gives into stems, many times faster than it could be done here."""
_PARTS = re.compile(r"['’.\-/+·]")
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+")
_INCHES = re.compile(r"[0-9]{1,4}\.[0-9]+inch")
_MARKS = str.maketrans("™®©“”″’×", '   """\'x')
_ACCENTS = re.compile(r"[\u0300-\u036f]")
_IRREGULAR = {"mice": "mouse", "men": "man", "women": "woman", "children": "child", "feet": "foot", "teeth": "tooth"}
_POSSESSIVE = frozenset({"'s", "’s"})
_STEMMER = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).filter(tantivy.Filter.stemmer("english")).build()


def tokens(text: str, *, is_query: bool = False, is_cut: bool = False) -> list[Token]:
    """The tokens of a text in order. Any text will do; `is_cut` if there are spaces between Chinese words."""
    if is_query and not is_cut:
        return [token for chunk in _chunks(text) for token in _query_tokens_of(chunk)]
    return [token for chunk in _chunks(text) for token in _tokens_of(chunk, is_query=is_query, is_cut=is_cut)]


def stems(text: str) -> list[str]:
    """What a product's text is found by: the stems of its words, of joined ones both the whole and the parts."""
    return [stem(word) for word in surfaces(text)]


def surfaces(text: str) -> list[str]:
    """The words of a product's text as people write them; of joined ones both the whole and the parts."""
    return [word for chunk in _chunks(text) for word in _surfaces_of(chunk)]


@lru_cache(maxsize=MOST_STEMS)
def stem(word: str) -> str:
    """The stem of a word; what is not English in letters a-z is its own."""
    if not (word.isascii() and word.isalpha()) or len(word) <= 3:
        return word
    found = _STEMMER.analyze(_IRREGULAR.get(word, word))
    return found[0] if found else word


def has_han(text: str) -> bool:
    """Whether there is Chinese in it."""
    return _ANY_HAN.search(text) is not None


def han_grams(text: str) -> tuple[str, ...]:
    """The Chinese signs of a text, each by itself and with the next: they find what was cut into words otherwise."""
    runs = _HAN_RUN.findall(_plain(text[:LONGEST_TEXT]))
    return tuple(
        dict.fromkeys(gram for run in runs for gram in (*run, *(run[at : at + 2] for at in range(len(run) - 1))))
    )


def plain_words(text: str) -> str:
    """A long text for `LONG_TEXT` to cut: what belongs together joined, Chinese in words, nothing stemmed yet."""
    if _ANY_HAN.search(text):
        return " ".join(surfaces(text))
    return _gathered(text)


def is_measure(word: str) -> bool:
    """Whether it is a number with its unit, or a size: `40inch`, `1920x1080`."""
    return _MEASURE.fullmatch(word) is not None


def is_plural(word: str) -> bool:
    """Whether an English word looks like a plural."""
    return word in _IRREGULAR or (len(word) > 3 and word.endswith("s") and not word.endswith("ss"))


def _plain(text: str) -> str:
    """In lower case, of one width, without accents."""
    if not text.isascii() and not (text := text.translate(_MARKS)).isascii():
        text = unicodedata.normalize("NFKC", text).casefold()
        return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", text)))
    return text.lower()


def _chunks(text: str) -> list[str]:
    """What stands between spaces, once what belongs together stands together. Most of them were seen before."""
    return _gathered(text).split()


def _gathered(text: str) -> str:
    plain = _plain(text[:LONGEST_TEXT])
    if _ANY_FIGURE.search(plain):
        for apart, together in _SPACED:
            plain = apart.sub(together, plain)
    return plain


@lru_cache(maxsize=MOST_CHUNKS)
def _surfaces_of(chunk: str) -> tuple[str, ...]:
    found = []
    for token in _tokens_of(chunk):
        if len(token) > 1 and len(whole := "".join(token)) <= LONGEST_WORD:
            found.append(whole)
        found.extend(token)
        if len(token) == 1 and _INCHES.fullmatch(token[0]):
            found.append(f"{int(float(token[0][:-4]) + 0.5)}inch")  # a 64.5" screen is sold as one of 65"
    return tuple(found)


@lru_cache(maxsize=MOST_CHUNKS)
def _query_tokens_of(chunk: str) -> tuple[Token, ...]:
    return tuple(_tokens_of(chunk, is_query=True))


def _tokens_of(chunk: str, *, is_query: bool = False, is_cut: bool = False) -> list[Token]:
    found: list[Token] = []
    for match in _TOKEN.finditer(chunk):
        kind = match.lastgroup
        if kind == "size":
            found.append((match["size"],))
        elif kind == "unit":
            found.append((_round(_number(match["number"])) + _UNITS[match["unit"]],))
        elif kind == "plain":
            found.append((_number(match["plain"]),))
        elif kind == "version":
            found += [(match["before"],), (match["version"],)]
        elif kind == "han":
            words = [match["han"]] if is_cut else _cut(match["han"], is_query=is_query)
            found += [(word,) for word in words]
        elif parts := _parts(match["word"]):
            found.append(parts)
    return found


def _parts(word: str) -> Token:
    if word[-2:] in _POSSESSIVE:
        word = word[:-2]
    return tuple(part for part in _PARTS.split(word) if part and len(part) <= LONGEST_WORD)


def _number(text: str) -> str:
    """`10,000` as 10000, `15,6` as 15.6."""
    return text.replace(",", "") if _THOUSANDS.fullmatch(text) else text.replace(",", ".")


def _round(number: str) -> str:
    """`2.0` as 2, for lengths and weights."""
    whole, point, rest = number.partition(".")
    return whole if point and not rest.strip("0") else number


def _cut(text: str, *, is_query: bool) -> list[str]:
    jieba = _jieba()
    return list(jieba.cut(text) if is_query else jieba.cut_for_search(text, True))


@lru_cache(maxsize=1)
def _jieba() -> Any:
    """Loaded when a Chinese text comes and it is not there: it takes 26-34 MB and 0.2 s."""
    import rjieba

    return rjieba


def dictionary_uses() -> int:
    """How often the Chinese dictionary was used since it was loaded; 0 while it is not."""
    known = _jieba.cache_info()
    return known.hits + known.misses


def let_go_of_dictionary() -> None:
    """Free its memory, until the next Chinese text comes."""
    sys.modules.pop("rjieba", None)  # the package holds a dictionary as long as it is loaded
    _jieba.cache_clear()
