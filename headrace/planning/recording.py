"""A load as it once came, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from headrace.core.step_sums import StepSums
from headrace.planning.trace import Trace


@dataclass(frozen=True)
class Recording:
    """Seconds count from the begin; all columns have a row a request, in the order of arrival.

    `e2e_s` is infinite where there was no answer; `ttft_s` None where nobody knows. `sizes` are
    (moment, workers that were wanted), the first one at 0; empty where nobody knows.
    `cold_starts_s` are the measured ones, the newest first; of `steps` the step curve is fitted.
    """

    source: str
    trace: Trace
    e2e_s: Sequence[float]
    ttft_s: Sequence[float | None]
    sizes: Sequence[tuple[float, int]]
    steps: StepSums
    slots: int | None
    cold_starts_s: Sequence[float]

    @property
    def worker_s(self) -> float | None:
        """What it cost; None where nobody knows."""
        if not self.sizes:
            return None
        ends = [*self.sizes, (self.trace.seconds, 0)]
        return sum(size * (until - at) for (at, size), (until, _next) in pairwise(ends))


def changes(sizes: Sequence[tuple[float, int]]) -> list[tuple[float, int]]:
    """Without what repeats the size before it."""
    before = [None, *(size for _at, size in sizes)]
    return [each for each, last in zip(sizes, before, strict=False) if each[1] != last]
