"""What is offered to narrow results by: of everything that could be counted, what parts them best."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from hansa.kernel.money import Money, to_text
from hansa.services.search.contract import Facet, FacetValue
from hansa.services.search.rules.documents import SEPARATOR, in_language

MOST_FACETS = 6
"""Attributes offered at once."""
MOST_VALUES = 12
"""Values offered of one facet; chosen ones are always among them."""
MOST_BRANDS = 20
MOST_RANGES = 5
LEAST_COVERAGE = 0.15
"""Part of the results that must have an attribute, for it to be worth a question."""
LARGEST_SHARE = 0.97
"""Where nearly all results have one value, choosing it changes nothing."""
_REST = "\0"
_WELCOME = re.compile(
    r"^(size|colou?r|product colou?r|material|condition|brand compatibility|尺码|颜色|材质)$", re.IGNORECASE
)
"""What shoppers choose by in nearly every shop."""
WELCOME = 2.0
MOST_OF_CATEGORY = 8
MOST_PLANNED = 200
"""Attributes that are counted, of one category and of all; the index knows no others, since each takes its time."""
MOST_TALLIED = 256
"""Values of one attribute that are told apart while it is decided whether it is worth counting."""
MOST_LABELS = 1_024
LADDER = (0, 500, *(digit * 10**power for power in range(3, 6) for digit in (1, 2, 5)), 10**6)
"""Where price ranges may begin, in minor units: bounds that people think in. Each takes time in every search."""


def attribute_facets(
    counts: Mapping[str, Mapping[str, int]], *, total: int, chosen: Mapping[str, Sequence[str]]
) -> tuple[Facet, ...]:
    """The attributes worth offering, from how many of the results have which value of which; chosen ones first."""
    known = {
        name: {**dict.fromkeys(values, 0), **counts.get(name, {})}
        for name, values in chosen.items()
        if values or name in counts
    }
    ranked = sorted([(-_worth(name, values, total=total), name) for name, values in counts.items()])
    others = [name for worth, name in ranked if worth < 0 and name not in chosen]
    of_chosen = [name for _, name in sorted([(-_worth(name, known[name], total=total), name) for name in known])]
    return tuple(
        Facet(
            kind="attribute",
            name=name,
            label=name,
            values=choice_values(
                known[name] if name in known else counts[name], chosen=chosen.get(name, ()), most=MOST_VALUES
            ),
        )
        for name in (of_chosen + others)[: max(MOST_FACETS, len(chosen))]
    )


def brand_facet(counts: Mapping[str, int], *, chosen: Sequence[str]) -> Facet | None:
    """The brands that most of the results are of; None where there is nothing to choose."""
    known = {**dict.fromkeys(chosen, 0), **counts} if chosen else counts
    if len(known) < 2 and not chosen:
        return None
    values = choice_values(known, chosen=chosen, most=MOST_BRANDS)
    return Facet(kind="brand", name="brand", label="brand", values=values)


def choice_values(counts: Mapping[str, int], *, chosen: Sequence[str], most: int) -> tuple[FacetValue, ...]:
    """The most common values, and those chosen; figures in their order, others the most common first."""
    # Tuples are compared without coming back here, which matters: this runs for each facet of each search.
    ranked = sorted([(value not in chosen, -count, value) for value, count in counts.items()])
    shown = [(rank, value) for _, rank, value in ranked[: max(most, len(chosen))]]
    if all(_figure(value) is not None for _, value in shown):
        shown.sort(key=lambda known: (_figure(known[1]) or 0.0, known[1]))
    elif chosen:
        shown.sort()
    return tuple(
        [FacetValue(value=value, label=value, count=-rank, is_chosen=value in chosen) for rank, value in shown]
    )


def category_facet(
    counts: Mapping[str, int],
    *,
    chosen: str | None,
    names: Mapping[str, Mapping[str, str]],
    languages: Sequence[str],
) -> Facet | None:
    """The children of the chosen category (the roots without one); of a leaf, itself and its sisters.

    `counts` are of leaves; they hold what would be found without the chosen category.
    """
    parent = chosen or ""
    below = _children(counts, parent)
    if not below and chosen:
        parent = chosen.rpartition(SEPARATOR)[0]
        below = _children(counts, parent)
    if chosen and chosen not in below and (own := _within(counts, chosen)):
        below = {chosen: own, **below}
    if not below:
        return None
    labels = {path: in_language(names.get(path, {}), languages) or path for path in below}
    paths = sorted(below, key=lambda path: (path != chosen or chosen in _children(counts, parent), labels[path], path))
    return Facet(
        kind="category",
        name="category",
        label="category",
        values=tuple(
            FacetValue(value=path, label=labels[path], count=below[path], is_chosen=path == chosen) for path in paths
        ),
    )


def price_facet(
    counts: Sequence[tuple[int, int]],
    *,
    lowest: int | None,
    highest: int | None,
    currency: str,
    chosen: tuple[int | None, int | None],
) -> Facet | None:
    """A handful of ranges with about as many products each, from counts by the steps of the ladder (begin, count);
    None where nothing has a price, or all have the same."""
    if lowest is None or highest is None or (lowest == highest and chosen == (None, None)):
        return None
    return Facet(
        kind="price",
        name="price",
        label="price",
        values=tuple(
            FacetValue(
                value=f"{begin}-{'' if end is None else end - 1}",
                label=_range_label(begin, end, currency),
                count=count,
                is_chosen=chosen == (begin, None if end is None else end - 1),
            )
            for begin, end, count in _ranges(counts)
        ),
        lowest=Money(lowest, currency),
        highest=Money(highest, currency),
    )


class Tally:
    """Counts the attributes of all products by category, to see which are worth counting in searches."""

    def __init__(self) -> None:
        self._products: defaultdict[str, int] = defaultdict(int)
        self._values: defaultdict[str, defaultdict[str, defaultdict[str, int]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(int))
        )

    def add(self, category: str, attributes: Iterable[tuple[str, str]]) -> None:
        """`category` is the path of a leaf, or empty."""
        self._products[category] += 1
        for name, value in attributes:
            values = self._values[category][name]
            values[value if value in values or len(values) < MOST_TALLIED else _REST] += 1

    def plan(self) -> tuple[str, ...]:
        """The attributes that part the products of some category best, the most useful ones first."""
        useful: defaultdict[str, float] = defaultdict(float)
        for category, by_name in self._values.items():
            products = self._products[category]
            worth = {name: _worth(name, values, total=products) for name, values in by_name.items()}
            best = sorted((name for name in worth if worth[name] > 0), key=lambda name: (-worth[name], name))
            for name in best[:MOST_OF_CATEGORY]:
                useful[name] += worth[name] * math.sqrt(products)  # a small category is not to go without
        return tuple(sorted(useful, key=lambda name: (-useful[name], name))[:MOST_PLANNED])


def _ranges(counts: Sequence[tuple[int, int]]) -> list[tuple[int, int | None, int]]:
    """Neighbouring steps taken together until each range holds its part; the last one is open."""
    total = sum(count for _, count in counts)
    ranges: list[tuple[int, int | None, int]] = []
    begin, held, left = 0, 0, total
    for place, (_, count) in enumerate(counts):
        held += count
        is_full = held * (MOST_RANGES - len(ranges)) >= left and held > 0
        if is_full and held < left and len(ranges) < MOST_RANGES - 1:
            end = counts[place + 1][0]
            ranges.append((begin, end, held))
            begin, left, held = end, left - held, 0
    if held:
        ranges.append((begin, None, held))
    return ranges if len(ranges) > 1 else []


@lru_cache(maxsize=MOST_LABELS)
def _range_label(begin: int, end: int | None, currency: str) -> str:
    return f"{to_text(begin, currency)}–{'' if end is None else to_text(end, currency)}"


def _worth(name: str, values: Mapping[str, int], *, total: int) -> float:
    """How well an attribute parts the results: how many have it, and how evenly."""
    if len(values) < 2:
        return 0.0
    counts = values.values()
    known = sum(counts)
    if not known or known < total * LEAST_COVERAGE or max(counts) > total * LARGEST_SHARE:
        return 0.0
    # The chance that two results differ (Gini and Simpson), less where hardly two are alike.
    evenness = 1.0 - sum([count * count for count in counts]) / (known * known)
    alike = min(1.0, known / len(values) / 3.0)
    return min(known / total, 1.0) * evenness * alike * _welcome(name)


@lru_cache(maxsize=4_096)
def _welcome(name: str) -> float:
    return WELCOME if _WELCOME.match(name) else 1.0


def _children(counts: Mapping[str, int], parent: str) -> dict[str, int]:
    depth = len(parent) + 1 if parent else 0
    found: defaultdict[str, int] = defaultdict(int)
    for path, count in counts.items():
        if not parent or path.startswith(f"{parent}{SEPARATOR}"):
            found[path[:depth] + path[depth:].partition(SEPARATOR)[0]] += count
    return dict(found)


def _within(counts: Mapping[str, int], path: str) -> int:
    return sum(count for other, count in counts.items() if other == path or other.startswith(f"{path}{SEPARATOR}"))


@lru_cache(maxsize=4_096)
def _figure(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None
