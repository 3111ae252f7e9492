"""From the records of a level to its figures; pure."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from headrace.loadtest.bootstrap import RESAMPLES, block_length, intervals, resamples_for
from headrace.loadtest.measurement import Measurement
from headrace.loadtest.parts import Part, RampWindow, by_turn, by_window, cached_share
from headrace.loadtest.quantiles import PERCENTS, is_supported, percentile
from headrace.loadtest.record import ALL_STAGES, Record
from headrace.loadtest.service_level import Bounds, ServiceLevel, is_met

STAGE_PERCENTS = (50, 95)


@dataclass(frozen=True)
class Estimate:
    """A percentile and its 95 % interval; not `supported` where too few values stand behind it."""

    value: float
    low: float
    high: float
    supported: bool


@dataclass(frozen=True)
class Spread:
    """The percentiles of one metric, s; `source` says who saw it."""

    count: int
    source: str
    percentiles: Mapping[int, Estimate]


@dataclass(frozen=True)
class Goodput:
    """Requests that met a service level: as a share of those sent, and per s."""

    share: float
    per_s: float


@dataclass(frozen=True)
class Figures:
    """One level; rates are per s of the window, `stages_s` by percentile; their means add up.

    `errors` by kind; `messages` has the first that was said about each kind. `goodput` by the name
    of its service level. `cached_share` of the input tokens came from the server's prefix cache.
    """

    window_s: float
    requests: int
    succeeded: int
    errors: Mapping[str, int]
    messages: Mapping[str, str]
    throughput: float
    input_tokens_per_s: float
    output_tokens_per_s: float
    e2e: Spread | None
    ttft: Spread | None
    tpot: Spread | None
    stages_s: Mapping[str, Mapping[int, float]]
    stage_means_s: Mapping[str, float]
    batch_size: float | None
    goodput: Mapping[str, Goodput]
    cached_share: float | None
    turns: Mapping[int, Part]
    windows: Sequence[RampWindow]
    in_flight: float
    cpu_ms_per_request: float
    notes: Sequence[str]


def figures(measurement: Measurement, service_levels: Sequence[ServiceLevel], seed: int) -> Figures:
    counted = measurement.counted
    good = [record for record in counted if record.succeeded]
    answered = [record for record in measurement.completions if record.succeeded]
    in_flight = measurement.in_flight.mean(measurement.start, measurement.end)
    window_s = measurement.window_s

    def per_s(count: float) -> float:
        return count / window_s if window_s > 0 else 0.0

    def spread(values: Sequence[float], source: str) -> Spread | None:
        return _spread(values, source, block_length(len(values), in_flight), seed)

    def goodput(level: ServiceLevel) -> Goodput:
        met = sum(is_met(level, record) for record in counted)
        return Goodput(met / len(counted) if counted else 0.0, per_s(met))

    return Figures(
        window_s=window_s,
        requests=len(counted),
        succeeded=len(good),
        errors=dict(Counter(record.error for record in counted if record.error)),
        messages=_first_messages(counted),
        throughput=per_s(len(answered)),
        input_tokens_per_s=per_s(sum(record.input_tokens or 0 for record in answered)),
        output_tokens_per_s=per_s(sum(record.output_tokens for record in answered)),
        e2e=spread([record.e2e_s for record in good], "client"),
        ttft=spread(_known(record.ttft_s for record in good), _source(good)),
        tpot=spread(*_tpot(good)),
        stages_s=_stages(good),
        stage_means_s=_stage_means(good),
        batch_size=_mean(_known(record.batch_size for record in good)),
        goodput={level.name: goodput(level) for level in service_levels},
        cached_share=cached_share(good),
        turns=by_turn(measurement, service_levels),
        windows=by_window(measurement, service_levels),
        in_flight=in_flight,
        cpu_ms_per_request=measurement.cpu_s * 1000 / max(len(measurement.records), 1),
        notes=[*_notes(good), *_unknown(good, service_levels)],
    )


def _spread(values: Sequence[float], source: str, block: int, seed: int) -> Spread | None:
    if not values:
        return None
    ordered, found = sorted(values), intervals(values, PERCENTS, block, seed)
    estimates = {
        percent: Estimate(
            percentile(ordered, percent), *found[percent], is_supported(percent, len(values))
        )
        for percent in PERCENTS
    }
    return Spread(len(values), source, estimates)


def _stages(records: Sequence[Record]) -> Mapping[str, Mapping[int, float]]:
    """Empty for a server that says nothing about them."""
    found = {}
    for name in ALL_STAGES:
        if values := sorted(_known(record.stage_s(name) for record in records)):
            found[name] = {percent: percentile(values, percent) for percent in STAGE_PERCENTS}
    return found


def _stage_means(records: Sequence[Record]) -> Mapping[str, float]:
    found = {name: _known(record.stage_s(name) for record in records) for name in ALL_STAGES}
    return {name: statistics.fmean(values) for name, values in found.items() if values}


def _first_messages(records: Sequence[Record]) -> Mapping[str, str]:
    said = [(record.error, record.message) for record in records if record.message]
    return {kind: message for kind, message in reversed(said) if kind is not None}


def _known(values: Iterable[float | None]) -> list[float]:
    return [each for each in values if each is not None]


def _source(records: Sequence[Record]) -> str:
    return "client" if any(record.first_token is not None for record in records) else "server"


def _tpot(records: Sequence[Record]) -> tuple[Sequence[float], str]:
    """The server's, where it has one: it knows its tokens, the client sees chunks."""
    if values := _known(record.server_tpot_s for record in records):
        return values, "server"
    return _known(record.tpot_s for record in records), "client"


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _unknown(good: Sequence[Record], service_levels: Sequence[ServiceLevel]) -> Sequence[str]:
    """Says which bounds no answer could be judged by."""
    known = {
        "ttft_s": any(record.ttft_s is not None for record in good),
        "tpot_s": any(
            record.known_tpot_s is not None or record.output_tokens < 2 for record in good
        ),
    }
    return [
        f"goodput {level.name}: the {bound[:4].upper()} of no answer is known, so none is good"
        for level in service_levels
        if isinstance(level, Bounds)
        for bound, is_known in known.items()
        if good and not is_known and getattr(level, bound) is not None
    ]


def _notes(good: Sequence[Record]) -> Sequence[str]:
    notes = []
    if any(record.tokens_counted for record in good):
        notes.append("no usage from the server: its chunks are counted as tokens")
    elif good and not any(record.output_tokens for record in good):
        notes.append("no usage from the server: output tokens are unknown")
    if (rounds := resamples_for(len(good))) < RESAMPLES:
        notes.append(f"intervals from {rounds} resamples instead of {RESAMPLES}")
    return notes
