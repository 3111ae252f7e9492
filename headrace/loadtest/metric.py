"""The metrics by which two runs of a level are compared, each with its standard error."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from statistics import fmean, median, stdev

from headrace.loadtest.bootstrap import block_length, resamples_for, standard_error
from headrace.loadtest.quantiles import percentile
from headrace.loadtest.saved import SavedLevel
from headrace.loadtest.service_level import Bounds, ServiceLevel
from headrace.loadtest.slo import Slo

FINEST_S = 1e-5
"""A report knows its times no finer."""

MOST_BLOCKS = 20
"""Of a series, as for batch means (Schmeiser 1982): what drifts for a while stays in one block."""

ANY_TIME = 1 / math.sqrt(12)
"""Standard deviation of a wait for the next step, in steps."""

THIS_OR_NEXT = 1 / 2
"""The same of a first token, which half of the users get with one step, half with the next."""

LEAST_BLOCKS = 4
"""With fewer, nothing can be said about how far they are apart."""

LEAST_BEYOND = 3
"""Answers of each user beyond a percentile: one hiccup delays all that are under way."""


@dataclass(frozen=True)
class Statistic:
    """`error`: the standard error of its logarithm; of a share its own. From so many `blocks`."""

    value: float
    error: float
    blocks: int


@dataclass(frozen=True)
class Metric:
    """`values` are in the order of time, `of` takes the statistic from them in ascending order.

    `least_error` is that of a value even if no two requests differ.
    """

    name: str
    values: Callable[[SavedLevel, Slo], Sequence[float]]
    of: Callable[[Sequence[float]], float]
    least_error: Callable[[float, SavedLevel], float]
    least_rounds: float = 0
    more_is_better: bool = False
    is_share: bool = False
    source: Callable[[SavedLevel], str | None] = lambda level: None

    def statistic(self, runs: Sequence[SavedLevel], slo: Slo, rounds: int) -> Statistic | None:
        """Of all runs of a level together; None where there are too few values for one."""
        series = [self.values(run, slo) for run in runs]
        values = [value for each in series for value in each]
        count, in_flight = len(values), fmean(map(_in_flight, runs))
        once = block_length(count, in_flight)
        block = once * math.ceil(count / once / MOST_BLOCKS)
        if count < self.least_rounds * in_flight or count // block < LEAST_BLOCKS:
            return None
        rounds = min(rounds, resamples_for(count))
        # Blocks of a circle share requests: the fewer they are, the less they differ.
        error = standard_error(values, self._scaled, block, rounds, seed=0)
        error *= math.sqrt(count / (count - block))
        value = self.of(sorted(values))
        least = max(self.least_error(value, run) for run in runs)
        return Statistic(value, max(error, least, self._between(series)), count // block)

    def _between(self, series: Sequence[Sequence[float]]) -> float:
        """The standard error that the runs show by how far they are apart."""
        found = [self._scaled(sorted(values)) for values in series if values]
        return stdev(found) / math.sqrt(len(found)) if len(found) > 1 else 0.0

    def _scaled(self, ordered: Sequence[float]) -> float:
        return self.of(ordered) if self.is_share else math.log(self.of(ordered))


def _in_flight(level: SavedLevel) -> float:
    """By Little's law, at least 1."""
    return max(sum(_times("e2e_s", level)) / max(level.window_s, FINEST_S), 1.0)


def _times(column: str, level: SavedLevel, _slo: Slo | None = None) -> list[float]:
    """Of the answers to measured requests, as far as they are known."""
    records = level.records
    rows = zip(records.measured, records.e2e_s, getattr(records, column), strict=True)
    return [
        time_s
        for measured, e2e_s, time_s in rows
        if measured and e2e_s is not None and time_s is not None
    ]


def _gaps(level: SavedLevel, _slo: Slo) -> list[float]:
    """Between one answer and the next inside the window, whenever they were asked for."""
    records = level.records
    ends = sorted(
        at_s + e2e_s
        for at_s, e2e_s in zip(records.at_s, records.e2e_s, strict=True)
        if e2e_s is not None and at_s + e2e_s <= level.window_s
    )
    inside = [end for end in ends if end > 0]
    before = ends[: len(ends) - len(inside)][-1:] or [0.0]
    return [later - sooner for sooner, later in pairwise([*before, *inside])]


def _good(level: SavedLevel, service_level: ServiceLevel) -> list[float]:
    records = level.records
    rows = zip(
        *(records.measured, records.e2e_s, records.ttft_s, records.output_tokens, records.tpot_s),
        strict=True,
    )
    return [
        float(e2e_s is not None and service_level.allows(e2e_s, ttft_s, tokens, tpot_s))
        for measured, e2e_s, ttft_s, tokens, tpot_s in rows
        if measured
    ]


def _failed(level: SavedLevel, _slo: Slo) -> list[float]:
    rows = zip(level.records.measured, level.records.e2e_s, strict=True)
    return [float(e2e_s is None) for measured, e2e_s in rows if measured]


def _percentile(percent: int, ordered: Sequence[float]) -> float:
    return max(percentile(ordered, percent), FINEST_S)


def _rate(gaps: Sequence[float]) -> float:
    return 1 / max(fmean(gaps), FINEST_S)


def _rounding(time_s: float, _level: SavedLevel) -> float:
    return ANY_TIME * FINEST_S / time_s


def _phase(steps: float, time_s: float, level: SavedLevel) -> float:
    """So many steps of the batch, as a share of a time.

    Users fall in step with the batch, and which of its steps takes them in is chance, once for all
    of a run. A single user meets an idle engine, and an open loop's requests come at any time.
    """
    steps_s = _times("tpot_s", level) if (level.concurrency or 1) > 1 else []
    step_s = steps * median(steps_s) if steps_s else 0.0
    return max(step_s / time_s, _rounding(time_s, level))


def _phase_of_all(_rate: float, level: SavedLevel) -> float:
    return _phase(ANY_TIME, median(_times("e2e_s", level)), level)


def _binomial(share: float, level: SavedLevel) -> float:
    """With one more of either kind: none among a few may still be one in ten."""
    count = sum(level.records.measured)
    share = (share * count + 1) / (count + 2)
    return math.sqrt(share * (1 - share) / count)


def _latency(
    name: str,
    percent: int,
    least_error: Callable[[float, SavedLevel], float],
    source: Callable[[SavedLevel], str | None] = lambda level: "client",
) -> Metric:
    return Metric(
        name=f"{name}.p{percent}",
        values=partial(_times, f"{name}_s"),
        of=partial(_percentile, percent),
        least_error=least_error,
        least_rounds=LEAST_BEYOND * 100 / (100 - percent),
        source=source,
    )


def _ttft_source(level: SavedLevel) -> str | None:
    return level.ttft.source if level.ttft else None


def _tpot_source(level: SavedLevel) -> str | None:
    return level.tpot.source if level.tpot else None


METRICS = (
    _latency("e2e", 50, partial(_phase, ANY_TIME)),
    _latency("e2e", 95, partial(_phase, ANY_TIME)),
    _latency("ttft", 50, partial(_phase, THIS_OR_NEXT), _ttft_source),
    _latency("tpot", 50, _rounding, _tpot_source),
    Metric("throughput", _gaps, _rate, _phase_of_all, more_is_better=True),
    Metric("goodput", _good, fmean, _binomial, more_is_better=True, is_share=True),
    Metric("errors", _failed, fmean, _binomial, is_share=True),
)


def metrics(bounds: Sequence[Bounds]) -> Sequence[Metric]:
    """All of them, with the goodput of each service level by name."""
    return [*METRICS, *map(_goodput, bounds)]


def _goodput(bounds: Bounds) -> Metric:
    return Metric(
        f"goodput.{bounds.name}",
        lambda level, _slo: _good(level, bounds),
        fmean,
        _binomial,
        more_is_better=True,
        is_share=True,
    )
