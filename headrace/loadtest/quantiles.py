"""One rule for every percentile: the smallest value with at least that share at or below it.

The inverse of the empirical distribution function: no percentile is ever a value that no request
had (Hyndman & Fan 1996, type 1).
"""

from __future__ import annotations

from collections.abc import Sequence

PERCENTS = (50, 90, 95, 99)

LEAST_FOR_P99 = 300
"""With fewer values less than three lie above the 99th percentile: no claim stands on that."""


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Of values in ascending order, at least one of them."""
    rank = -(-percent * len(ordered) // 100)  # in whole numbers: 0.95 * 20 may exceed 19
    return ordered[max(rank, 1) - 1]


def is_supported(percent: int, count: int) -> bool:
    """Whether `count` values say anything about this percentile."""
    return percent < 99 or count >= LEAST_FOR_P99
