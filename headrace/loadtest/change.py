"""How far one metric is apart in two runs, and whether that counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from headrace.loadtest.metric import Metric, Statistic
from headrace.loadtest.student import student

UNSURE = 0.2
"""Where so large a change is not ruled out, two runs are not called equal."""

Status = Literal["faster", "slower", "equal", "unsure"]


@dataclass(frozen=True)
class Change:
    """From A to B: `change` is the ratio B/A, of a share the difference; with its interval."""

    metric: str
    a: float
    b: float
    change: float
    low: float
    high: float
    is_share: bool
    status: Status


@dataclass(frozen=True)
class Scale:
    """`of` a value, the `change` that a distance shows, and the `limit` that a tolerance sets."""

    of: Callable[[float], float]
    change: Callable[[float], float]
    limit: Callable[[float], float]


RATIOS = Scale(math.log, math.exp, math.log1p)
SHARES = Scale(float, float, float)


def change(metric: Metric, a: Statistic, b: Statistic, tolerance: float, error: float) -> Change:
    """`error`: how often the interval may miss the truth.

    Judged on a scale on which A to B is as far as B to A: logarithms, and shares as they are.
    """
    scale = SHARES if metric.is_share else RATIOS
    middle = scale.of(b.value) - scale.of(a.value)
    blocks = min(a.blocks, b.blocks)
    reach = student(1 - error / 2, blocks - 1) * math.hypot(a.error, b.error)
    low, high = middle - reach, middle + reach
    return Change(
        metric=metric.name,
        a=a.value,
        b=b.value,
        change=scale.change(middle),
        low=scale.change(low),
        high=scale.change(high),
        is_share=metric.is_share,
        status=_status(metric, low, high, scale.limit(tolerance), scale.limit(UNSURE)),
    )


def _status(metric: Metric, low: float, high: float, limit: float, unsure: float) -> Status:
    if low > limit:
        return "faster" if metric.more_is_better else "slower"
    if high < -limit:
        return "slower" if metric.more_is_better else "faster"
    return "unsure" if max(-low, high) > max(limit, unsure) else "equal"
