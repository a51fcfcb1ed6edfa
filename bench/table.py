"""The one table of a run: what was marked, what came out, and whether it is met. As plain text, and as Markdown."""

from collections.abc import Iterable, Sequence

from bench.marks import FIGURES, MARKS, Mark
from bench.results import Results

NOT_MEASURED = "-"
WHOLE = ("full", "quick")
Row = tuple[str, str, str, str, str]
HEADS: Row = ("measure", "median", "spread", "mark", "met")


def rows(results: Results) -> list[Row]:
    """Marks first, in their order, of a whole run those too that were not measured; then the other figures."""
    is_whole = results.mode in WHOLE
    found = [_marked(mark, results) for mark in MARKS if is_whole or mark.series in results.series]
    for series, words, unit, digits in FIGURES:
        value = results.median(series)
        if value is not None:
            found.append((words, amount(value, unit=unit, digits=digits), _spread(results, series), "", ""))
    return found


def text(results: Results) -> str:
    """For a terminal."""
    every = [HEADS, *rows(results)]
    widths = [max(len(row[column]) for row in every) for column in range(len(HEADS))]
    return "\n".join(
        f"{row[0]:{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}  {row[4]}".rstrip()
        for row in every
    )


def markdown(results: Results) -> str:
    """For a page."""
    return "\n".join([_line(HEADS), "|---|---:|---:|---:|---|", *(_line(row) for row in rows(results))])


def amount(value: float, *, unit: str, digits: int) -> str:
    """A figure with thousands parted and its unit behind."""
    behind = unit if unit in ("x", "/s", "") else f" {unit}"
    return f"{value:,.{digits}f}{behind}"


def _marked(mark: Mark, results: Results) -> Row:
    value, is_met = results.median(mark.series), mark.is_met(results)
    limit = f"{mark.kind} {amount(mark.limit, unit=mark.unit, digits=_fewest_digits(mark))}"
    if value is None:
        return mark.words, NOT_MEASURED, "", limit, NOT_MEASURED
    shown = amount(value, unit=mark.unit, digits=mark.digits)
    return mark.words, shown, _spread(results, mark.series), limit, "yes" if is_met else "NO"


def _fewest_digits(mark: Mark) -> int:
    return 0 if mark.limit == int(mark.limit) else mark.digits


def _spread(results: Results, series: str) -> str:
    value = results.spread(series)
    return "" if value is None or len(results.series[series]) < 2 else f"±{value:.0%}"


def _line(cells: Sequence[str] | Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
