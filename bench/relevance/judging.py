"""Judged queries: a file of rules that say which products answer a query, and the measure that is taken of a ranking.

`judgements.csv` holds a query a line. Its cells `best`, `good` and `related` (grades 3, 2, 1) hold rules; ` | ` parts
rules that may hold instead of each other, ` & ` conditions that must hold together. A condition is `cat:` (the
category's path begins so), `brand:`, `slug:` (one of several), `attr:name=pattern`, or `name:` and `text:` (name; name,
description and model) with a pattern that is searched for regardless of case; a `-` before it denies it.
"""

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hansa.services.products.contract import ProductDraft
from hansa.services.search.rules.documents import leaf_of

FILE = Path(__file__).with_name("judgements.csv")
GRADES = {"best": 3, "good": 2, "related": 1}
DEPTH = 10


@dataclass(frozen=True, kw_only=True)
class Query:
    """A query, and what it is worth to find which product (by place in the catalogue)."""

    shop: str
    locale: str
    group: str
    half: str
    text: str
    grades: Mapping[int, int]


def read(catalogues: Mapping[str, Sequence[ProductDraft]], *, file: Path = FILE) -> list[Query]:
    """The queries with their grades. Raises ValueError for one that nothing answers."""
    queries = []
    with file.open(encoding="utf-8", newline="") as lines:
        for cells in csv.DictReader(lines):
            if cells["shop"] not in catalogues:
                continue
            grades: dict[int, int] = {}
            for column, grade in GRADES.items():
                rules = [_conditions(rule) for rule in cells[column].split(" | ") if rule.strip()]
                for place, draft in enumerate(catalogues[cells["shop"]]):
                    if place not in grades and any(_holds(rule, draft) for rule in rules):
                        grades[place] = grade
            if 3 not in grades.values():
                raise ValueError(f"nothing answers {cells['query']!r}")
            queries.append(
                Query(
                    shop=cells["shop"],
                    locale=cells["locale"],
                    group=cells["group"],
                    half=cells["half"],
                    text=cells["query"],
                    grades=grades,
                )
            )
    return queries


def ndcg(found: Sequence[int], grades: Mapping[int, int]) -> float:
    """Normalized discounted cumulative gain of the first ten (Järvelin and Kekäläinen 2002; gain 2^grade - 1)."""
    ideal = _gain(sorted(grades.values(), reverse=True))
    return _gain([grades.get(place, 0) for place in found]) / ideal if ideal else 0.0


def _gain(grades: Sequence[int]) -> float:
    return sum((2.0**grade - 1.0) / math.log2(rank + 2) for rank, grade in enumerate(grades[:DEPTH]))


def _conditions(rule: str) -> list[tuple[bool, str, str]]:
    conditions = []
    for condition in rule.strip().split(" & "):
        is_denied = condition.startswith("-")
        kind, _, value = condition.removeprefix("-").partition(":")
        conditions.append((is_denied, kind, value))
    return conditions


def _holds(rule: Sequence[tuple[bool, str, str]], draft: ProductDraft) -> bool:
    return all(_is_so(kind, value, draft) != is_denied for is_denied, kind, value in rule)


def _is_so(kind: str, value: str, draft: ProductDraft) -> bool:
    if kind == "cat":
        return f"{leaf_of(draft)}/".startswith(f"{value}/")
    if kind == "brand":
        return draft.brand == value
    if kind == "slug":
        return draft.slug in value.split(",")
    if kind == "attr":
        name, _, pattern = value.partition("=")
        return re.search(pattern, str(draft.attributes.get(name, "")), re.IGNORECASE) is not None
    text = draft.texts["en"]
    if kind == "name":
        return re.search(value, text.name, re.IGNORECASE) is not None
    if kind == "text":
        whole = f"{text.name} {text.description} {draft.attributes.get('Model', '')}"
        return re.search(value, whole, re.IGNORECASE) is not None
    raise ValueError(f"there is no condition {kind}:")
