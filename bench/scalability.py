"""The Universal Scalability Law, fitted to measured throughput; and Little's law, held against it.

N. J. Gunther, "Guerrilla Capacity Planning", Springer 2007, chapter 4: with N at once,

    X(N) = rate * N / (1 + contention * (N - 1) + coherence * N * (N - 1))

where `rate` is the throughput of one alone, `contention` the share of the work that queues for what can be had by one
at a time, and `coherence` what each must do because of each other one. Grouping makes an order cheaper the more come
together, which the law knows as a contention close to zero, or below it. J. D. C. Little, "A Proof for the Queuing
Formula L = lambda W", Operations Research 9 (3), 1961: on average, N = X * R, whatever the distributions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]
"""How many at once, and their throughput."""
MOST_STEPS = 200
SMALL_ENOUGH = 1e-12
STARTS = ((0.5, 1e-4), (0.1, 1e-5), (0.01, 1e-6), (0.0, 0.0))
"""Contention and coherence from which the search begins; the best end counts."""


class TooFewPoints(ValueError):
    """Three unknowns take three points."""


@dataclass(frozen=True, kw_only=True)
class Scalability:
    """A fitted law."""

    rate: float
    contention: float
    coherence: float

    def throughput(self, at_once: float) -> float:
        """What it predicts for so many at once."""
        return self.rate * at_once / self._divisor(at_once)

    @property
    def best(self) -> float | None:
        """How many at once give the most; None if more always give more."""
        if self.coherence <= 0:
            return None
        return math.sqrt(max((1 - self.contention) / self.coherence, 1.0))

    def _divisor(self, at_once: float) -> float:
        return max(1 + self.contention * (at_once - 1) + self.coherence * at_once * (at_once - 1), SMALL_ENOUGH)


def fit(points: Sequence[Point]) -> Scalability:
    """Least squares of the relative errors, by Levenberg and Marquardt's method: a rung of ten orders a second counts
    as much as one of a thousand. Raises TooFewPoints."""
    if len({at_once for at_once, _ in points}) < 3:
        raise TooFewPoints(f"{len(points)} points are not enough for three unknowns")
    alone = min(points)[1] / min(points)[0]
    ends = [_descend(points, [math.log(alone), contention, coherence]) for contention, coherence in STARTS]
    _, (log_rate, contention, coherence) = min(ends, key=lambda end: end[0])
    return Scalability(rate=math.exp(log_rate), contention=contention, coherence=coherence)


def little_error(*, connections: int, throughput: float, mean_s: float) -> float:
    """How far X * R is from N, as a share of N."""
    return throughput * mean_s / connections - 1


def _descend(points: Sequence[Point], unknowns: list[float]) -> tuple[float, list[float]]:
    damping = 1e-2
    error = _error(points, unknowns)
    for _ in range(MOST_STEPS):
        slopes, residuals = _slopes(points, unknowns), _residuals(points, unknowns)
        normal = [[sum(row[i] * row[j] for row in slopes) for j in range(3)] for i in range(3)]
        target = [-sum(row[i] * residual for row, residual in zip(slopes, residuals, strict=True)) for i in range(3)]
        for i in range(3):
            normal[i][i] *= 1 + damping
            normal[i][i] += SMALL_ENOUGH
        step = _solved(normal, target)
        tried = [unknown + change for unknown, change in zip(unknowns, step, strict=True)]
        tried[2] = max(tried[2], 0.0)
        after = _error(points, tried)
        if after < error:
            is_done = error - after < SMALL_ENOUGH * max(error, 1e-9)
            unknowns, error, damping = tried, after, damping / 4
            if is_done:
                break
        else:
            damping *= 5
            if damping > 1e12:
                break
    return error, unknowns


def _predicted(unknowns: Sequence[float], at_once: float) -> float:
    law = Scalability(rate=math.exp(unknowns[0]), contention=unknowns[1], coherence=unknowns[2])
    return law.throughput(at_once)


def _residuals(points: Sequence[Point], unknowns: Sequence[float]) -> list[float]:
    return [_predicted(unknowns, at_once) / throughput - 1 for at_once, throughput in points]


def _error(points: Sequence[Point], unknowns: Sequence[float]) -> float:
    if any(
        1 + unknowns[1] * (at_once - 1) + unknowns[2] * at_once * (at_once - 1) <= SMALL_ENOUGH for at_once, _ in points
    ):
        return math.inf
    return sum(residual**2 for residual in _residuals(points, unknowns))


def _slopes(points: Sequence[Point], unknowns: Sequence[float]) -> list[list[float]]:
    """How each residual changes with each unknown."""
    rows = []
    for at_once, throughput in points:
        share = _predicted(unknowns, at_once) / throughput
        divisor = max(1 + unknowns[1] * (at_once - 1) + unknowns[2] * at_once * (at_once - 1), SMALL_ENOUGH)
        rows.append([share, -share * (at_once - 1) / divisor, -share * at_once * (at_once - 1) / divisor])
    return rows


def _solved(matrix: Sequence[Sequence[float]], target: Sequence[float]) -> list[float]:
    """Three equations by Gauss's elimination, the largest pivot first."""
    rows = [[*row, value] for row, value in zip(matrix, target, strict=True)]
    size = len(rows)
    for i in range(size):
        pivot = max(range(i, size), key=lambda row: abs(rows[row][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        if abs(rows[i][i]) < 1e-300:
            return [0.0] * size
        for below in range(i + 1, size):
            factor = rows[below][i] / rows[i][i]
            rows[below] = [value - factor * above for value, above in zip(rows[below], rows[i], strict=True)]
    found = [0.0] * size
    for i in reversed(range(size)):
        known = sum(rows[i][j] * found[j] for j in range(i + 1, size))
        found[i] = (rows[i][size] - known) / rows[i][i]
    return found
