"""The buckets of the histograms that several processes fill together."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from itertools import accumulate

SUM_UNIT = 1_000_000
"""A sum is kept in whole millionths of its unit: integers add up without rounding."""


class Histogram:
    """One histogram as fields of a hash: `NAME:BOUND` for each bucket and `NAME:sum`.

    An observation counts in the one bucket it falls into; Prometheus wants them cumulated.
    """

    def __init__(self, name: str, bounds: tuple[float, ...]) -> None:
        self.name = name
        self.bounds = bounds
        self.labels = (*(str(float(bound)) for bound in bounds), "+Inf")
        self.sum_field = f"{name}:sum"
        self._fields = tuple(f"{name}:{label}" for label in self.labels)

    def field(self, value: float) -> str:
        """The field that counts a value."""
        return self._fields[bisect_left(self.bounds, value)]

    def cumulated(self, counts: Mapping[str, int]) -> list[tuple[str, int]]:
        """Each upper bound with the number of observations at or below it."""
        in_buckets = (counts.get(field, 0) for field in self._fields)
        return list(zip(self.labels, accumulate(in_buckets), strict=True))

    def sum(self, counts: Mapping[str, int]) -> float:
        return counts.get(self.sum_field, 0) / SUM_UNIT


LATENCY_S = (0.05, *(tenth / 10 for tenth in range(1, 11)), 1.25, 1.5, 2, 3, 5, 10, 30, 60)
"""Bounds around the SLO: one stands at its default of 1 s."""

TOKEN_LATENCY_S = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2)

E2E = Histogram("job_e2e_seconds", LATENCY_S)
QUEUE_WAIT = Histogram("queue_wait_seconds", LATENCY_S)
INFERENCE = Histogram("inference_seconds", LATENCY_S)
TTFT = Histogram("time_to_first_token_seconds", LATENCY_S)
TPOT = Histogram("time_per_output_token_seconds", TOKEN_LATENCY_S)
STEP = Histogram(
    "step_seconds", (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.5, 1, 2, 5)
)
BATCH_SIZE = Histogram("batch_size", (1, 2, 4, 8, 16, 24, 32, 48, 64, 128, 256, 512))
