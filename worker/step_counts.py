"""What a worker counts of its engine's steps, until its heartbeat adds it to the fleet's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from headrace.core.histogram import BATCH_SIZE, STEP, SUM_UNIT
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

    def observe(self, rows: int, seconds: float) -> None:
        """One step of `rows` requests."""
        for histogram, value in ((BATCH_SIZE, rows), (STEP, seconds)):
            self._totals[histogram.field(value)] += 1
            self._totals[histogram.sum_field] += round(value * SUM_UNIT)

    def turned(self, seconds: float, stats: EngineStats) -> None:
        """A turn with a step in it is over; `stats` are the engine's counters behind it."""
        last, self._last = self._last, stats
        r, p = stats.rows - last.rows, stats.prefill_tokens - last.prefill_tokens
        self._add_sums(r, p, round(seconds * SUM_UNIT))

    def _add_sums(self, r: int, p: int, s: int) -> None:
        sums = {"n": 1, "r": r, "p": p, "s": s, "rr": r * r, "rp": r * p, "pp": p * p}
        for name, amount in (sums | {"rs": r * s, "ps": p * s}).items():
            self._totals[f"steps:{name}"] += amount

    @property
    def totals(self) -> Mapping[str, int]:
        return dict(self._totals)


class NoStepCounts(StepCounts):
    """Where metrics are off."""

    def observe(self, rows: int, seconds: float) -> None:
        """Counts nothing."""

    def turned(self, seconds: float, stats: EngineStats) -> None:
        """Counts nothing."""
