"""Writes what a run has found into its page, between two marks, and the chart beside it."""

from pathlib import Path

from bench.chart import svg
from bench.results import Results
from bench.scalability import Scalability
from bench.table import markdown

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
CHART = PAGE.with_suffix(".svg")
BEGIN = "<!-- results: written by `python -m bench --write-docs` -->"
END = "<!-- end of results -->"


class NoPlace(ValueError):
    """The page has no place for results."""


def write_docs(results: Results, *, page: Path = PAGE, chart: Path = CHART) -> None:
    """Put the results in the place of those before. Raises NoPlace."""
    page.write_text(filled(page.read_text(), results))
    chart.write_text(svg(results))


def filled(text: str, results: Results) -> str:
    """The page with these results. Raises NoPlace."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NoPlace(f"{BEGIN} … {END} is not in the page")
    return "\n".join([f"{before}{BEGIN}", "", section(results), "", f"{END}{after}"])


def section(results: Results) -> str:
    """The machine, the table, the law and what went wrong, as Markdown."""
    parts = []
    where = results.machine
    if where is not None:
        versions = ", ".join(f"{name} {version}" for name, version in sorted(results.versions.items()))
        parts.append(
            f"{results.at}, {results.elapsed_s / 60:.0f} minutes, mode `{results.mode}`: {where.processor}, "
            f"{where.cores} cores, {where.memory_gb:g} GB, {where.system}, {where.filesystem}; "
            f"Python {where.python}, SQLite {where.sqlite}{', ' if versions else ''}{versions}."
        )
    parts.append(markdown(results))
    if results.law is not None:
        parts.append(_law(results))
    if results.wrong:
        parts.append("\n".join(["The audit found:", "", *(f"- {each}" for each in results.wrong)]))
    else:
        parts.append("The audits found nothing wrong.")
    parts += [f"Note: {note}." for note in results.notes]
    parts.append("![Figures of the run beside their marks, and the ladder](performance.svg)")
    return "\n\n".join(parts)


def _law(results: Results) -> str:
    law = results.law
    assert law is not None
    curve = Scalability(rate=law.rate, contention=law.contention, coherence=law.coherence)
    best = "more connections always give more" if curve.best is None else f"most at {curve.best:,.0f} connections"
    lines = [
        f"The law: rate {law.rate:.1f}/s, contention {law.contention:.3g}, coherence {law.coherence:.3g}; {best}.",
        "",
        "| connections | orders a second | the law says | error | mean answer | X * R |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for rung in results.ladder:
        said = curve.throughput(rung.connections)
        if rung.connections in law.fitted_to:
            note = ""
        else:
            note = " (predicted)" if rung.connections > law.fitted_to[0] else " (not of the law)"
        lines.append(
            f"| {rung.connections}{note} | {rung.throughput:,.0f} | {said:,.0f} | "
            f"{said / rung.throughput - 1:+.0%} | {rung.mean_ms:,.1f} ms | "
            f"{rung.throughput * rung.mean_ms / 1000:,.1f} |"
        )
    return "\n".join(lines)
