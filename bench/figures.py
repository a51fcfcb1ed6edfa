"""The few figures that everything is summed up in: percentiles, medians, spread."""

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all values does not exceed (nearest rank; 0 < share <= 1)."""
    if not values:
        raise ValueError("no values")
    ranked = sorted(values)
    return ranked[max(1, math.ceil(share * len(ranked))) - 1]


def median(values: Sequence[float]) -> float:
    """The value in the middle, or the mean of the two."""
    ranked = sorted(values)
    middle = len(ranked) // 2
    return ranked[middle] if len(ranked) % 2 else (ranked[middle - 1] + ranked[middle]) / 2


def spread(values: Sequence[float]) -> float:
    """Half of the range, as a share of the median: 0.05 reads as plus or minus five percent."""
    middle = median(values)
    return (max(values) - min(values)) / 2 / abs(middle) if middle else 0.0
