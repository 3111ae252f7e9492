"""What became of the jobs of the last 30 days, minute by minute."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import median

MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86_400.0
KEPT_S = 30 * DAY_S

WINDOWS: Mapping[str, float] = {
    "5m": 5 * MINUTE_S,
    "30m": 30 * MINUTE_S,
    "1h": HOUR_S,
    "2h": 2 * HOUR_S,
    "6h": 6 * HOUR_S,
    "1d": DAY_S,
    "3d": 3 * DAY_S,
}


@dataclass(frozen=True, slots=True)
class Sample:
    """Totals `at` a moment, seconds since the epoch; those of `counters.py`.

    `total` jobs count for the SLO: `good` ones among them, and `failed` ones that gave no answer.
    `canary_s` is the median time to a first token of the canaries of the minute before.
    """

    at: float
    total: int
    good: int
    failed: int
    canary_s: float | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """Jobs that ended within a while; `seconds` is how much of it is known."""

    seconds: float
    total: int
    good: int
    failed: int

    def burn_rate(self, objective: float) -> float | None:
        """1 spends the budget of 30 days in 30 days; None where no job ended."""
        return (self.total - self.good) / self.total / (1 - objective) if self.total else None


def totals_of(counts: Mapping[str, int], at: float, canary_s: float | None = None) -> Sample:
    """Of the fleet's counts: an answer that came too late is not good, and not failed."""
    failed = sum(count for field, count in counts.items() if _is_failure(field))
    return Sample(at, counts.get("slo", 0), counts.get("slo_good", 0), failed, canary_s)


class SloCourse:
    """Totals that begin anew (another Redis) go on from where they were."""

    def __init__(self) -> None:
        self._samples: list[Sample] = []
        self._begun = Sample(0.0, 0, 0, 0)
        """What was counted before the totals began anew."""

    @property
    def newest(self) -> float | None:
        return self._samples[-1].at if self._samples else None

    def add(self, sample: Sample) -> None:
        """`sample` is newer than all before."""
        last = self._samples[-1] if self._samples else None
        if last is not None and sample.total + self._begun.total < last.total:
            self._begun = last
        self._samples.append(self._continued(sample))
        oldest = bisect_right(self._samples, sample.at - KEPT_S, key=_at)
        del self._samples[: max(0, oldest - 1)]

    def tally(self, seconds: float, now: Sample) -> Tally:
        """From the newest sample that is as old as that, or from the oldest there is, to `now`."""
        if not self._samples:
            return Tally(0.0, 0, 0, 0)
        first = self._samples[max(0, bisect_right(self._samples, now.at - seconds, key=_at) - 1)]
        last = self._continued(now)
        if last.total < self._samples[-1].total:  # begun anew since the last sample
            last = self._samples[-1]
        counts = (getattr(last, name) - getattr(first, name) for name in _COUNTS)
        return Tally(now.at - first.at, *counts)

    def canary_baseline_s(self, now: float, recent_s: float, least: int) -> float | None:
        """The median of a day, but for the last while; None of fewer minutes than `least`."""
        first, last = (
            bisect_left(self._samples, moment, key=_at) for moment in (now - DAY_S, now - recent_s)
        )
        day = (sample.canary_s for sample in self._samples[first:last])
        times = [canary_s for canary_s in day if canary_s is not None]
        return median(times) if len(times) >= least else None

    def _continued(self, sample: Sample) -> Sample:
        begun = self._begun
        return replace(
            sample,
            total=sample.total + begun.total,
            good=sample.good + begun.good,
            failed=sample.failed + begun.failed,
        )


_COUNTS = ("total", "good", "failed")


def _at(sample: Sample) -> float:
    return sample.at


def _is_failure(field: str) -> bool:
    return field.startswith("jobs:failed:")
