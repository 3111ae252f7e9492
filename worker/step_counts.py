"""What a worker counts of its engine's steps, until its heartbeat adds it to the fleet's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from headrace.core.histogram import BATCH_SIZE, STEP, SUM_UNIT


class StepCounts:
    """Totals since the worker's start. The worker's loop writes, its heartbeat reads."""

    def __init__(self) -> None:
        self._totals: Counter[str] = Counter()

    def observe(self, rows: int, seconds: float) -> None:
        """One step of `rows` requests."""
        for histogram, value in ((BATCH_SIZE, rows), (STEP, seconds)):
            self._totals[histogram.field(value)] += 1
            self._totals[histogram.sum_field] += round(value * SUM_UNIT)

    @property
    def totals(self) -> Mapping[str, int]:
        return dict(self._totals)


class NoStepCounts(StepCounts):
    """Where metrics are off."""

    def observe(self, rows: int, seconds: float) -> None:
        """Counts nothing."""
