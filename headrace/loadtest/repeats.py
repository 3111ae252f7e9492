"""A level that ran several times: the median of each figure over the runs, and its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median, stdev

from headrace.loadtest.loads import Load
from headrace.loadtest.result import Result
from headrace.loadtest.student import student
from headrace.loadtest.values import SHARES, Name, Value, names, value

CONFIDENCE = 0.95
OF_A_MEDIAN = math.sqrt(math.pi / 2)
"""Standard error of a median as a multiple of a mean's, for many values; of few it is less."""


@dataclass(frozen=True)
class RepeatedLevel:
    """One load and all its runs, each beside the first level of the same run."""

    load: Load
    runs: Sequence[Result]
    firsts: Sequence[Result]

    @property
    def label(self) -> str:
        return self.load.label

    @property
    def problems(self) -> Sequence[str]:
        """Says why the level cannot be believed: half of its runs or more are not valid."""
        broken = [run for run in self.runs if run.problems]
        if 2 * len(broken) < len(self.runs):
            return ()
        if len(self.runs) == 1:
            return self.runs[0].problems
        says = [f"run {run.run}: {problem}" for run in broken for problem in run.problems]
        return [f"{len(broken)} of {len(self.runs)} runs are not valid", *says]

    @cached_property
    def valid_runs(self) -> Sequence[tuple[Result, Result]]:
        """Runs that count, each with the first level of its run."""
        return [pair for pair in zip(self.runs, self.firsts, strict=True) if pair[0].is_valid]

    def value(self, name: Name) -> Value | None:
        """The median over the valid runs; None where one of them did not measure it."""
        if len(self.runs) == 1:
            return value(name, self.runs[0], self.firsts[0])
        found = [value(name, run, first) for run, first in self.valid_runs]
        known = [each for each in found if each is not None]
        if not known or len(known) < len(found):
            return None
        return over_runs(known, 1.0 if name.metric in SHARES else math.inf)

    def values(self, service_levels: Sequence[str]) -> Mapping[Name, Value]:
        """All figures that were measured."""
        found = {name: self.value(name) for name in names(service_levels)}
        return {name: each for name, each in found.items() if each is not None}


def repeated_levels(results: Sequence[Result]) -> Sequence[RepeatedLevel]:
    """In the order of the first run; also of levels that ran but once."""
    by_run: dict[int, list[Result]] = {}
    for result in results:
        by_run.setdefault(result.run, []).append(result)
    runs = list(by_run.values())
    return [
        RepeatedLevel(
            runs[0][place].load,
            [run[place] for run in runs if place < len(run)],
            [run[0] for run in runs if place < len(run)],
        )
        for place in range(len(runs[0]) if runs else 0)
    ]


def over_runs(found: Sequence[Value], most: float = math.inf) -> Value:
    """Student's interval around the median.

    Percentiles of resampled runs are too narrow: the median of three lies beyond all of them one
    time in four.
    """
    values = [each.value for each in found]
    middle, supported = median(values), all(each.supported for each in found)
    if len(values) == 1:
        return Value(middle, supported=supported)
    error = OF_A_MEDIAN * stdev(values) / math.sqrt(len(values))
    reach = student((1 + CONFIDENCE) / 2, len(values) - 1) * error
    return Value(middle, max(0.0, middle - reach), min(most, middle + reach), supported)
