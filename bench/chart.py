"""The chart of a run, as SVG: what each mark came to, and the ladder with the fitted law."""

import math
from collections.abc import Iterator
from xml.sax.saxutils import escape

from bench.marks import MARKS
from bench.results import Results
from bench.scalability import Scalability
from bench.table import amount

WIDTH = 900
ROW = 26
LEFT = 400
RIGHT = 140
TOP = 50
LADDER_HEIGHT = 300
LINES = 4
MOST_TIMES = 3.0
"""A bar ends at three times its mark, so that one far beyond does not make the others invisible."""
MET, MISSED, INK, GRID, LINE = "#2a7f62", "#b3423a", "#222222", "#dddddd", "#2f5f98"
_FONT = 'font-family="sans-serif"'


def svg(results: Results) -> str:
    """A picture that needs nothing else; it says in words what it shows, too."""
    bars = [mark for mark in MARKS if results.median(mark.series) is not None and mark.kind != "exactly"]
    bars_end = TOP + ROW * len(bars) + 30
    height = bars_end + (LADDER_HEIGHT + 80 if results.ladder else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label='
        f'"Figures of a run beside their marks">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(20, 28, "Each figure, as a share of its mark (the line). Green: met.", size=15),
        *_bars(results),
    ]
    if results.ladder:
        parts += _ladder(results, top=bars_end + 30)
    return "\n".join([*parts, "</svg>", ""])


def _bars(results: Results) -> Iterator[str]:
    full = WIDTH - LEFT - RIGHT
    line = LEFT + full / MOST_TIMES
    shown = 0
    for mark in MARKS:
        value = results.median(mark.series)
        if value is None or mark.kind == "exactly":
            continue
        y = TOP + ROW * shown
        shown += 1
        share = value / mark.limit
        words = mark.words if mark.kind == "at least" else f"{mark.words} (less is better)"
        yield _text(LEFT - 8, y + 15, words, size=11, anchor="end")
        length = max(min(share, MOST_TIMES) / MOST_TIMES * full, 1)
        colour = MET if mark.is_met(results) else MISSED
        yield f'<rect x="{LEFT}" y="{y + 3}" width="{length:.1f}" height="{ROW - 8}" fill="{colour}"/>'
        yield _text(LEFT + length + 6, y + 15, amount(value, unit=mark.unit, digits=mark.digits), size=11)
    yield _line(line, TOP - 6, line, TOP + ROW * shown, colour=INK, dashes="4 3")


def _ladder(results: Results, *, top: float) -> Iterator[str]:
    left, right, bottom = 80, WIDTH - 40, top + LADDER_HEIGHT
    step = _round_step(max(rung.throughput for rung in results.ladder) / LINES)
    most = step * LINES
    last = max(rung.connections for rung in results.ladder)

    def x(connections: float) -> float:
        return left + math.log2(connections) / max(math.log2(last), 1) * (right - left)

    def y(throughput: float) -> float:
        return bottom - min(throughput, most) / most * LADDER_HEIGHT

    title = "Orders a second on SQLite by connections. Filled: the law was fitted to these. Hollow: it predicts these."
    yield _text(20, top - 12, title, size=15)
    for number in range(LINES + 1):
        yield _line(left, y(step * number), right, y(step * number), colour=GRID)
        yield _text(left - 8, y(step * number) + 4, f"{step * number:,g}", size=11, anchor="end")
    law = results.law
    if law is not None:
        curve = Scalability(rate=law.rate, contention=law.contention, coherence=law.coherence)
        stops = [last ** (stop / 100) for stop in range(101)]
        path = " ".join(f"{x(stop):.1f},{y(max(curve.throughput(stop), 0)):.1f}" for stop in stops)
        yield f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="2"/>'
    for rung in results.ladder:
        is_fitted = law is None or rung.connections in law.fitted_to
        fill = INK if is_fitted else "#ffffff"
        yield (
            f'<circle cx="{x(rung.connections):.1f}" cy="{y(rung.throughput):.1f}" r="5" fill="{fill}" '
            f'stroke="{INK}" stroke-width="1.5"/>'
        )
        yield _text(x(rung.connections), bottom + 20, str(rung.connections), size=11, anchor="middle")


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 2.5, 5 and their tenfolds that is not below."""
    power = 10.0 ** math.floor(math.log10(max(least, 1e-9)))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= least)


def _text(x: float, y: float, words: str, *, size: int, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" {_FONT} font-size="{size}" fill="{INK}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )


def _line(x1: float, y1: float, x2: float, y2: float, *, colour: str, dashes: str = "") -> str:
    dash = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{dash}/>'
