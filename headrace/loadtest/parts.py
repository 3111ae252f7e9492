"""A level in parts: the turns of its conversations, and the stretches of its ramp; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from headrace.loadtest.loads import ClosedLoad, TraceLoad
from headrace.loadtest.measurement import Measurement
from headrace.loadtest.quantiles import percentile
from headrace.loadtest.record import Record
from headrace.loadtest.service_level import ServiceLevel, is_met

MOST_WINDOWS = 10
"""Stretches of a ramp that are told apart."""

PART_PERCENTS = (50, 95)


@dataclass(frozen=True)
class Part:
    """Requests sent in one part of a level; times in s by percentile, empty where unknown.

    `input_tokens` is the mean of the answers whose server counts them, `good` the share of the
    requests that met each service level.
    """

    requests: int
    errors: int
    input_tokens: float | None
    cached_share: float | None
    e2e_s: Mapping[int, float]
    ttft_s: Mapping[int, float]
    good: Mapping[str, float]


@dataclass(frozen=True)
class RampWindow:
    """A stretch of a ramp, s from the window's begin: `load` is the mean of users or requests/s.

    `throughput` counts what ended in the stretch, `part` is about what was sent in it.
    """

    begin_s: float
    end_s: float
    load: float
    in_flight: float
    throughput: float
    output_tokens_per_s: float
    part: Part


def by_turn(measurement: Measurement, service_levels: Sequence[ServiceLevel]) -> Mapping[int, Part]:
    """Empty for a level of single requests."""
    counted = measurement.counted
    turns = sorted({record.turn for record in counted})
    if turns in ([], [1]):
        return {}
    return {
        turn: _part([record for record in counted if record.turn == turn], service_levels)
        for turn in turns
    }


def by_window(
    measurement: Measurement, service_levels: Sequence[ServiceLevel]
) -> Sequence[RampWindow]:
    """Equal stretches, as many as there are numbers of users, at most ten; none without a ramp."""
    load = measurement.load
    if isinstance(load, TraceLoad) or load.ramp is None or measurement.window_s <= 0:
        return ()
    count = MOST_WINDOWS
    if isinstance(load, ClosedLoad):
        count = min(count, load.concurrency - int(load.ramp.start) + 1)
    size_s = measurement.window_s / count
    edges = [number * size_s for number in range(count + 1)]
    return [
        _window(measurement, load.ramp.after_s, load.at, edges[each : each + 2], service_levels)
        for each in range(count)
    ]


def _window(
    measurement: Measurement,
    after_s: float,
    load_at: Callable[[float], float],
    edges: Sequence[float],
    service_levels: Sequence[ServiceLevel],
) -> RampWindow:
    begin, end = (measurement.start + edge for edge in edges)
    size_s = end - begin
    sent = [record for record in measurement.counted if begin <= record.scheduled < end]
    ended = [each for each in measurement.completions if begin < (each.done or 0.0) <= end]
    answered = [record for record in ended if record.succeeded]
    return RampWindow(
        begin_s=edges[0],
        end_s=edges[1],
        load=load_at(after_s + (edges[0] + edges[1]) / 2),
        in_flight=measurement.in_flight.mean(begin, end),
        throughput=len(answered) / size_s,
        output_tokens_per_s=sum(record.output_tokens for record in answered) / size_s,
        part=_part(sent, service_levels),
    )


def _part(records: Sequence[Record], service_levels: Sequence[ServiceLevel]) -> Part:
    good = [record for record in records if record.succeeded]
    counted = [record.input_tokens for record in good if record.input_tokens is not None]
    return Part(
        requests=len(records),
        errors=len(records) - len(good),
        input_tokens=sum(counted) / len(counted) if counted else None,
        cached_share=cached_share(good),
        e2e_s=_percentiles(record.e2e_s for record in good),
        ttft_s=_percentiles(record.ttft_s for record in good),
        good={
            level.name: sum(is_met(level, each) for each in records) / max(len(records), 1)
            for level in service_levels
        },
    )


def cached_share(good: Sequence[Record]) -> float | None:
    """Of the input tokens of answers whose server says how many it had cached."""
    told = [record for record in good if record.cached_tokens is not None]
    if not told:
        return None
    cached = sum(record.cached_tokens or 0 for record in told)
    return cached / max(sum(record.input_tokens or 0 for record in told), 1)


def _percentiles(times: Iterable[float | None]) -> Mapping[int, float]:
    ordered = sorted(time for time in times if time is not None)
    return {percent: percentile(ordered, percent) for percent in PART_PERCENTS if ordered}
