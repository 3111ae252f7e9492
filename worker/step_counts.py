"""What a worker counts of its engine's steps, until its heartbeat adds it to the fleet's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from headrace.core.histogram import BATCH_SIZE, STEP, SUM_UNIT, Histogram
from headrace.core.types import EngineStats


class StepCounts:
    """Totals since the worker's start. The worker's loop writes, its heartbeat reads.

    Beside two histograms they are the sums of which the scaler fits a step's seconds s to its rows
    r and prompt tokens p: fields `steps:n`, `steps:r`, `steps:rr`, …, with s in millionths. There
    s is all of a turn: claiming, publishing and finishing hold up the next step as well.
    """

    def __init__(self) -> None:
        self._totals: Counter[str] = Counter()
        self._last = EngineStats()

    def turned(self, seconds: float, stats: EngineStats) -> None:
        """A turn with steps in it is over; `stats` are the engine's counters behind it.

        Where it brought several, each counts as their mean.
        """
        last, self._last = self._last, stats
        steps = stats.steps - last.steps
        if steps <= 0:
            return
        rows, prompt = stats.rows - last.rows, stats.prefill_tokens - last.prefill_tokens
        self._observe(steps, BATCH_SIZE, rows / steps)
        self._observe(steps, STEP, (stats.busy_s - last.busy_s) / steps)
        self._add_sums(steps, rows / steps, prompt / steps, seconds * SUM_UNIT / steps)

    def engine_died(self) -> None:
        self._totals["engine_deaths"] += 1

    def _observe(self, steps: int, histogram: Histogram, value: float) -> None:
        self._totals[histogram.field(value)] += steps
        self._totals[histogram.sum_field] += round(steps * value * SUM_UNIT)

    def _add_sums(self, n: int, r: float, p: float, s: float) -> None:
        sums = {"n": 1, "r": r, "p": p, "s": s, "rr": r * r, "rp": r * p, "pp": p * p}
        for name, mean in (sums | {"rs": r * s, "ps": p * s}).items():
            self._totals[f"steps:{name}"] += round(n * mean)

    @property
    def totals(self) -> Mapping[str, int]:
        return dict(self._totals)


class NoStepCounts(StepCounts):
    """Where metrics are off."""

    def turned(self, seconds: float, stats: EngineStats) -> None:
        """Counts nothing."""

    def engine_died(self) -> None:
        """Counts nothing."""
