"""Intervals of percentiles, from requests that are not independent of each other.

Requests of one batch share their fate, so whole blocks of neighbours are drawn, around a circle so
that the first and the last are drawn as often as others: the moving-block bootstrap (Künsch 1989),
circular (Politis & Romano 1992).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from statistics import stdev

from headrace.loadtest.quantiles import percentile

RESAMPLES = 1000
LEAST_RESAMPLES = 50
MOST_DRAWS = 2_000_000
"""Values drawn in all; keeps the time of one metric near a second, however many requests ran."""

Interval = tuple[float, float]


def resamples_for(count: int) -> int:
    """Fewer for more values than 2,000."""
    return max(LEAST_RESAMPLES, min(RESAMPLES, MOST_DRAWS // max(count, 1)))


def block_length(count: int, in_flight: float) -> int:
    """As long as the requests that run together, never more than half of all."""
    return max(1, min(max(math.ceil(math.cbrt(count)), round(in_flight)), count // 2))


def intervals(
    values: Sequence[float], percents: Sequence[int], block: int, seed: int
) -> Mapping[int, Interval]:
    """The 95 % interval of each percentile; `values` in the order in which they were sent."""
    draw = random.Random(seed)
    rounds = resamples_for(len(values))
    found: dict[int, list[float]] = {percent: [] for percent in percents}
    circle = [*values, *values[:block]]
    for _round in range(rounds):
        resample = _resample(circle, len(values), block, draw)
        for percent in percents:
            found[percent].append(percentile(resample, percent))
    return {percent: _middle_95(sorted(each)) for percent, each in found.items()}


def standard_error(
    values: Sequence[float],
    statistic: Callable[[Sequence[float]], float],
    block: int,
    rounds: int,
    seed: int,
) -> float:
    """Of a statistic that is given values in ascending order."""
    draw = random.Random(seed)
    circle = [*values, *values[:block]]
    return stdev(statistic(_resample(circle, len(values), block, draw)) for _ in range(rounds))


def _resample(
    circle: Sequence[float], count: int, block: int, draw: random.Random
) -> Sequence[float]:
    drawn: list[float] = []
    while len(drawn) < count:
        start = int(draw.random() * count)
        drawn += circle[start : start + block]
    del drawn[count:]
    drawn.sort()
    return drawn


def _middle_95(ordered: Sequence[float]) -> Interval:
    last = len(ordered) - 1
    return ordered[math.floor(0.025 * last)], ordered[math.ceil(0.975 * last)]
