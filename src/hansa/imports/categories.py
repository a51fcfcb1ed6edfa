"""The categories of Icecat products, which the data does not name: derived by rules that are data.

`icecat_rules.csv` holds one rule a line. A rule holds if each of its cells that is not empty holds; the first rule that
holds gives the category. Within a cell, `|` separates what may hold instead of each other and `+` what must hold
together::

    title         words that stand side by side in the title, whatever their case, punctuation and plural -s
    product_type  the whole text of attr_t_product_type
    type          the whole text of attr_t_type
    attributes    names of attributes the product has (without attr_t_, attr_n_, attr_b_)
    supplier      the whole name of the maker

If no rule holds for the title, the rules are tried once more on the short description. Rules about nothing but makers
come last in any case. `icecat_categories.csv` names the categories in English and Chinese.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

FOLDER = Path(__file__).parent
_WORDS = re.compile(r"[a-z0-9]+")
_ATTRIBUTE = "attr_"
_PREFIX = len("attr_t_")


class _Rule(msgspec.Struct, frozen=True):
    rank: int
    category: str
    title: tuple[tuple[str, ...], ...]
    product_type: frozenset[str]
    type: frozenset[str]
    attributes: tuple[tuple[str, ...], ...]
    supplier: frozenset[str]

    def holds(self, clues: "_Clues") -> bool:
        return (
            (not self.title or any(all(f" {words} " in clues.text for words in both) for both in self.title))
            and (not self.product_type or clues.product_type in self.product_type)
            and (not self.type or clues.type in self.type)
            and (not self.attributes or any(clues.attributes.issuperset(both) for both in self.attributes))
            and (not self.supplier or clues.supplier in self.supplier)
        )


class _Clues(msgspec.Struct):
    words: list[str]
    text: str
    product_type: str
    type: str
    attributes: frozenset[str]
    supplier: str


class Categories:
    """Finds the category of an Icecat product. Each rule waits under one of its words or values, so that a product
    meets a handful of the rules only."""

    def __init__(self, *, folder: Path = FOLDER) -> None:
        self._paths = _read_paths(folder / "icecat_categories.csv")
        self._by_words: defaultdict[str, list[_Rule]] = defaultdict(list)
        self._by_value: defaultdict[tuple[str, str], list[_Rule]] = defaultdict(list)
        self._most_words = 1
        for rule in _read_rules(folder / "icecat_rules.csv"):
            self._keep(rule)

    def of(self, values: dict[str, Any]) -> list[dict[str, Any]]:
        """The category from the root down, in the shape of CategoryDrafts; empty if no rule holds."""
        clues = _Clues(
            words=[],
            text="",
            product_type=str(values.get("attr_t_product_type", "")).lower(),
            type=str(values.get("attr_t_type", "")).lower(),
            attributes=frozenset(name[_PREFIX:] for name in values if name.startswith(_ATTRIBUTE)),
            supplier=str(values.get("supplier", "")).lower(),
        )
        for text in (values.get("title", ""), values.get("short_description", "")):
            clues.words = words_of(text)
            clues.text = f" {' '.join(clues.words)} "
            if (rule := self._first(self._candidates(clues), clues)) is not None:
                return self._paths[rule.category]
        rule = self._first(self._by_value.get(("supplier", clues.supplier), ()), clues)
        return self._paths[rule.category] if rule else []

    def _keep(self, rule: _Rule) -> None:
        if rule.title:
            for first, *_ in rule.title:
                self._by_words[first].append(rule)
                self._most_words = max(self._most_words, first.count(" ") + 1)
            return
        for kind in ("product_type", "type"):
            if values := getattr(rule, kind):
                for value in values:
                    self._by_value[kind, value].append(rule)
                return
        for both in rule.attributes:
            self._by_value["attribute", both[0]].append(rule)
        for value in rule.supplier if not rule.attributes else ():
            self._by_value["supplier", value].append(rule)

    def _candidates(self, clues: _Clues) -> Iterator[_Rule]:
        words = clues.words
        for start in range(len(words)):
            for end in range(start + 1, min(start + self._most_words, len(words)) + 1):
                yield from self._by_words.get(" ".join(words[start:end]), ())
        yield from self._by_value.get(("product_type", clues.product_type), ())
        yield from self._by_value.get(("type", clues.type), ())
        for name in clues.attributes:
            yield from self._by_value.get(("attribute", name), ())

    @staticmethod
    def _first(rules: Iterator[_Rule] | Sequence[_Rule], clues: _Clues) -> _Rule | None:
        first: _Rule | None = None
        for rule in rules:
            if (first is None or rule.rank < first.rank) and rule.holds(clues):
                first = rule
        return first


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without the s of the plural."""
    return [
        word[:-1] if len(word) > 3 and word[-1] == "s" and word[-2] != "s" else word
        for word in _WORDS.findall(text.lower())
    ]


def _read_rules(file: Path) -> Iterator[_Rule]:
    with file.open(encoding="utf-8", newline="") as lines:
        for rank, cells in enumerate(csv.DictReader(lines)):
            yield _Rule(
                rank=rank,
                category=cells["category"],
                title=tuple(tuple(" ".join(words_of(words)) for words in both) for both in _both(cells["title"])),
                product_type=_values(cells["product_type"]),
                type=_values(cells["type"]),
                attributes=tuple(_both(cells["attributes"])),
                supplier=_values(cells["supplier"]),
            )


def _both(cell: str) -> Iterator[tuple[str, ...]]:
    return (tuple(part.strip() for part in choice.split("+")) for choice in cell.split("|") if choice.strip())


def _values(cell: str) -> frozenset[str]:
    return frozenset(choice.strip().lower() for choice in cell.split("|") if choice.strip())


def _read_paths(file: Path) -> dict[str, list[dict[str, Any]]]:
    with file.open(encoding="utf-8", newline="") as lines:
        names = {cells.pop("path"): dict(cells) for cells in csv.DictReader(lines)}
    paths: dict[str, list[dict[str, Any]]] = {}
    for path in names:
        slugs = path.split("/")
        paths[path] = [{"slug": slug, "names": names["/".join(slugs[: level + 1])]} for level, slug in enumerate(slugs)]
    return paths
