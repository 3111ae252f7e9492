"""Figures of a level by name, as assertions and repeated runs ask for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from headrace.loadtest.figures import STAGE_PERCENTS, Figures, Spread
from headrace.loadtest.quantiles import PERCENTS
from headrace.loadtest.record import ALL_STAGES
from headrace.loadtest.result import COMPARED, Result
from headrace.loadtest.slo import Slo

SPREADS: Mapping[str, Callable[[Figures], Spread | None]] = {
    "e2e": lambda figures: figures.e2e,
    "ttft": lambda figures: figures.ttft,
    "tpot": lambda figures: figures.tpot,
}
SCALARS: Mapping[str, Callable[[Figures], float | None]] = {
    "throughput": lambda figures: figures.throughput,
    "input_tokens_per_s": lambda figures: figures.input_tokens_per_s,
    "output_tokens_per_s": lambda figures: figures.output_tokens_per_s,
    "errors": lambda figures: sum(figures.errors.values()),
    "batch_size": lambda figures: figures.batch_size,
    "cached_share": lambda figures: figures.cached_share,
}
GOODPUTS = ("goodput", "goodput_per_s")
"""Of a service level by name; without a name, of the SLO."""

SHARES = ("goodput", "cached_share")
"""What is never more than 1."""

DEGRADATION = "degradation"
METRICS: Mapping[str, Sequence[int]] = {
    **dict.fromkeys(SPREADS, PERCENTS),
    **dict.fromkeys(SCALARS, ()),
    **dict.fromkeys(GOODPUTS, ()),
    **dict.fromkeys(ALL_STAGES, STAGE_PERCENTS),
    DEGRADATION: COMPARED,
}
"""The percentiles that each metric has; none: it is one number."""


@dataclass(frozen=True)
class Name:
    """A metric, with its percentile or the service level that it is about."""

    metric: str
    percent: int | None = None
    service_level: str | None = None

    def __str__(self) -> str:
        if self.percent is not None:
            return f"{self.metric}.p{self.percent}"
        return f"{self.metric}.{self.service_level}" if self.service_level else self.metric


@dataclass(frozen=True)
class Value:
    """A figure and its 95 % interval, None where it has none.

    Not `supported` where too few answers stand behind it.
    """

    value: float
    low: float | None = None
    high: float | None = None
    supported: bool = True


def names(service_levels: Sequence[str]) -> Sequence[Name]:
    """All figures that a level may have."""
    return [
        *(Name(metric, percent) for metric, all_ in METRICS.items() for percent in all_),
        *(Name(metric) for metric in SCALARS),
        *(Name(metric, None, level) for metric in GOODPUTS for level in service_levels),
    ]


def value(name: Name, result: Result, first: Result) -> Value | None:
    """None where it was not measured; `first` is the first level of the same run."""
    if name.metric in SPREADS and name.percent is not None:
        return _percentile(SPREADS[name.metric](result.figures), name.percent)
    found = _number(name, result, first)
    return None if found is None else Value(found)


def _percentile(spread: Spread | None, percent: int) -> Value | None:
    if spread is None:
        return None
    found = spread.percentiles[percent]
    return Value(found.value, found.low, found.high, found.supported)


def _number(name: Name, result: Result, first: Result) -> float | None:
    figures = result.figures
    if name.metric in SCALARS:
        return SCALARS[name.metric](figures)
    if name.metric in GOODPUTS:
        goodput = figures.goodput.get(name.service_level or Slo.name)
        if goodput is None:
            return None
        return goodput.share if name.metric == "goodput" else goodput.per_s
    if name.percent is None:
        return None
    if name.metric == DEGRADATION:
        return result.degradation(first).get(name.percent)
    return figures.stages_s.get(name.metric, {}).get(name.percent)
