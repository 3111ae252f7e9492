"""From a report to its plots; pure. One that the report says nothing about is None."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import plotly.graph_objects as go

from headrace.loadtest.look import (
    BLUE,
    GREY,
    ORANGE,
    PINK,
    TEAL,
    TEMPLATE,
    VIOLET,
    logarithmic,
    shades,
)
from headrace.loadtest.medians import medians
from headrace.loadtest.record import ALL_STAGES
from headrace.loadtest.sheets import level_name
from headrace.loadtest.slo import Slo
from headrace.loadtest.table import MEANING

Report = Mapping[str, Any]
Level = Mapping[str, Any]

PERCENTILES = {"p50": BLUE, "p95": ORANGE, "p99": PINK}
STAGES = dict(zip(ALL_STAGES, (GREY, ORANGE, VIOLET, BLUE, PINK, TEAL), strict=True))
GOODPUTS = (TEAL, ORANGE, BLUE, PINK, VIOLET)
JOBS = {"waiting": ORANGE, "running": BLUE}
WORKERS = {"workers": TEAL, "starting": GREY}
RAMP_LOADS = {"closed": "users", "open": "sent, requests/s"}
MOST_STEPS = 1000
"""Of one curve: more are not seen, and make a browser slow."""


@dataclass(frozen=True)
class Plot:
    """`caption` says in one sentence what to look for."""

    name: str
    title: str
    caption: str
    figure: go.Figure
    is_wide: bool = False


def plots(report: Report) -> Sequence[Plot]:
    drawn = (draw(report) for draw in DRAWN)
    return [plot for plot in drawn if plot is not None]


def latency_against_throughput(report: Report) -> Plot | None:
    levels = [level for level in medians(report) if level["e2e_s"]]
    if not levels:
        return None
    figure = go.Figure([_percentile(levels, *each) for each in PERCENTILES.items()])
    _lay_out(figure, x="completed, requests/s", y="e2e latency, s")
    figure.update_xaxes(rangemode="tozero")
    caption = (
        "Where a curve turns upwards, more load buys waiting instead of throughput "
        "(bars: 95 % intervals)."
    )
    return Plot("latency", "Latency against throughput", caption, figure)


def latency_distribution(report: Report) -> Plot | None:
    levels = report["levels"]
    coloured = zip(levels, shades(len(levels)), strict=True)
    curves = [_steps(level, colour) for level, colour in coloured if _answers(level)]
    if not curves:
        return None
    limit_s = slo_limit_s(report)
    figure = go.Figure(curves if limit_s is None else [*curves, _limit(limit_s)])
    _lay_out(figure, x="e2e latency, s (logarithmic)", y="answered by then, %")
    ends = [line.x[end] for line in figure.data for end in (0, -1)]
    figure.update_xaxes(logarithmic(min(ends), max(ends)))
    figure.update_yaxes(range=[0, 101])
    figure.update_layout(legend_title_text=_level_title(report))
    caption = f"A curve further right is slower, and a long flat top is a tail; {_slo_text(report)}"
    return Plot("distribution", "How latencies spread", caption, figure)


def stage_stack(report: Report) -> Plot | None:
    levels = [level for level in report["levels"] if level["stages_s"]]
    if not levels:
        return None
    told = [name for name in STAGES if any(name in level["stages_s"] for level in levels)]
    figure = go.Figure([_stage(levels, name) for name in told])
    _lay_out(figure, x=_level_title(report), y="mean of a request, s")
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_layout(barmode="stack", bargap=0.45, legend_traceorder="normal")
    caption = (
        "The stage that grows with the load is the one to work on; queue wait wants more workers."
    )
    return Plot("stages", "Where the time goes", caption, figure)


def goodput_against_rate(report: Report) -> Plot | None:
    levels = medians(report)
    if not levels:
        return None
    most = max(level["offered_per_s"] for level in levels)
    coloured = zip(levels[0]["goodput"], itertools.cycle(GOODPUTS), strict=False)
    figure = go.Figure([_all_good(most), *(_goodput(levels, *each) for each in coloured)])
    _lay_out(figure, x="sent, requests/s", y="good, requests/s")
    figure.update_xaxes(rangemode="tozero")
    caption = (
        "On the dashed line every answer is good; how far a point lies below it is load wasted."
    )
    return Plot("goodput", "Goodput against load", caption, figure)


def ramp(report: Report) -> Plot | None:
    """Latency above what was completed, a point a window."""
    levels = [level for level in report["levels"] if level["windows"]]
    if not levels:
        return None
    curves = [
        _over_ramp(level, name, colour)
        for level, shade in zip(levels, shades(len(levels)), strict=True)
        for name, colour in (("p50", shade), ("p95", ORANGE if len(levels) == 1 else shade))
    ]
    completed = [
        _completed(level, TEAL if len(levels) == 1 else shade)
        for level, shade in zip(levels, shades(len(levels)), strict=True)
    ]
    figure = go.Figure([*curves, *completed])
    _lay_out(figure, x=RAMP_LOADS[levels[0]["kind"]], y="e2e latency, s")
    figure.update_xaxes(anchor="y2")
    figure.update_layout(
        yaxis={"domain": [0.42, 1]},
        yaxis2={"domain": [0, 0.3], "title": {"text": "requests/s"}, "rangemode": "tozero"},
    )
    caption = (
        "The knee is where requests/s stop growing with the load and latency begins to; a point is "
        "a window of the ramp."
    )
    return Plot("ramp", "Over the ramp", caption, figure, is_wide=True)


def queue_and_workers(report: Report) -> Plot | None:
    """The levels behind one another, jobs above workers."""
    levels = [level for level in report["levels"] if level["fleet"]]
    if not levels:
        return None
    jobs = [_course(levels, name, JOBS[name], "y") for name in JOBS]
    workers = [_course(levels, name, WORKERS[name], "y2") for name in WORKERS]
    most = max(count for level in levels for name in WORKERS for count in level["fleet"][name])
    figure = go.Figure([*jobs, *workers])
    for level in levels:
        _mark_window(figure, level)
    _lay_out(figure, x="s since the first level began", y="jobs")
    figure.update_xaxes(anchor="y2", showgrid=False)
    figure.update_layout(
        yaxis={"domain": [0.42, 1]},
        yaxis2={
            "domain": [0, 0.3],
            "title": {"text": "workers"},
            "range": [0, max(most, 1) * 1.1],
            "dtick": max(1, round(most / 4)),
        },
        legend={"y": 1.1},
        margin={"t": 72},
        hovermode="x unified",
    )
    caption = (
        "A queue that climbs through a shaded window is more load than the workers take; "
        "see how soon new ones come, and whether it falls again."
    )
    return Plot("fleet", "Queue and workers over time", caption, figure, is_wide=True)


DRAWN: Sequence[Callable[[Report], Plot | None]] = (
    latency_against_throughput,
    latency_distribution,
    stage_stack,
    goodput_against_rate,
    ramp,
    queue_and_workers,
)


def slo_limit_s(report: Report) -> float | None:
    """Of all good answers; None where it varies with their tokens."""
    slo = report["load"]["slo"]
    limits = {
        slo["latency_s"] + tokens * slo["tpot_s"]
        for level in report["levels"]
        for _latency_s, tokens in _answers(level)
    }
    return limits.pop() if len(limits) == 1 else None


def _percentile(levels: Sequence[Level], percentile: str, colour: str) -> go.Scatter:
    known = [level for level in levels if level["e2e_s"][percentile]["supported"]]
    found = [level["e2e_s"][percentile] for level in known]
    return _through_levels(
        known,
        x=[level["throughput_per_s"] for level in known],
        y=[each["value"] for each in found],
        name=percentile,
        color=colour,
        textposition="bottom right",
        mode="lines+markers+text" if percentile == "p50" else "lines+markers",
        customdata=[[each["low"], each["high"]] for each in found],
        error_y={
            "symmetric": False,
            "array": [each["high"] - each["value"] for each in found],
            "arrayminus": [each["value"] - each["low"] for each in found],
            "thickness": 1.5,
            "width": 4,
        },
        hovertemplate=f"<b>level %{{text}}</b><br>{percentile} %{{y:.3f}} s "
        "[%{customdata[0]:.3f} %{customdata[1]:.3f}]<br>%{x:.2f} requests/s<extra></extra>",
    )


def _goodput(levels: Sequence[Level], service_level: str, colour: str) -> go.Scatter:
    goodputs = [level["goodput"][service_level] for level in levels]
    return _through_levels(
        levels,
        x=[level["offered_per_s"] for level in levels],
        y=[each["per_s"] for each in goodputs],
        name="good" if service_level == Slo.name else f"good {escape(service_level)}",
        color=colour,
        textposition="bottom right",
        mode="lines+markers+text",
        customdata=[each["share"] for each in goodputs],
        hovertemplate="<b>level %{text}</b><br>%{y:.2f} good requests/s of %{x:.2f} sent"
        "<br>goodput %{customdata:.1%}<extra></extra>",
    )


def _all_good(most_per_s: float) -> go.Scatter:
    return _reference([0, most_per_s], [0, most_per_s], "all good")


def _limit(limit_s: float) -> go.Scatter:
    return _reference([limit_s, limit_s], [0, 100], f"SLO {limit_s:g} s")


def _reference(x: Sequence[float], y: Sequence[float], name: str) -> go.Scatter:
    line = {"color": GREY, "width": 1.5, "dash": "dash"}
    return go.Scatter(x=x, y=y, name=name, mode="lines", line=line, hoverinfo="skip")


def _through_levels(levels: Sequence[Level], color: str, **fields: Any) -> go.Scatter:
    """A point a level, hollow where it is not valid."""
    symbols = ["circle" if level["valid"] else "circle-open" for level in levels]
    return go.Scatter(
        text=[_name(level) for level in levels],
        line={"color": color, "width": 2},
        marker={"color": color, "size": 9, "symbol": symbols, "line": {"color": color, "width": 2}},
        cliponaxis=False,
        **fields,
    )


def _steps(level: Level, colour: str) -> go.Scatter:
    """The share of answers at or below each latency."""
    name, ordered = _name(level), sorted(latency_s for latency_s, _tokens in _answers(level))
    count = len(ordered)
    ranks = _evenly(count)
    return go.Scatter(
        x=[ordered[0], *(ordered[rank - 1] for rank in ranks)],
        y=[0, *(100 * rank / count for rank in ranks)],
        name=name,
        mode="lines",
        line={"color": colour, "width": 2, "shape": "hv"},
        hovertemplate=f"<b>level {name}</b><br>%{{y:.1f}} % within %{{x:.3f}} s<extra></extra>",
    )


def _evenly(count: int) -> Sequence[int]:
    """Ranks from 1 to `count`, both of them among these."""
    if count <= MOST_STEPS:
        return range(1, count + 1)
    return [1 + number * (count - 1) // (MOST_STEPS - 1) for number in range(MOST_STEPS)]


def _stage(levels: Sequence[Level], name: str) -> go.Bar:
    title = name.replace("_", " ")
    return go.Bar(
        x=[_name(level) for level in levels],
        y=[level["stages_s"].get(name, {"mean": 0})["mean"] for level in levels],
        name=title,
        marker={"color": STAGES[name]},
        hovertemplate=f"<b>level %{{x}}</b><br>{title} %{{y:.4f}} s<extra></extra>",
    )


def _course(levels: Sequence[Level], name: str, colour: str, axis: str) -> go.Scatter:
    """A step a second, with a gap between levels."""
    x: list[float | None] = []
    y: list[int | None] = []
    for level in levels:
        fleet = level["fleet"]
        x += [level["began_s"] + at_s for at_s in fleet["at_s"]] + [None]
        y += [*fleet[name], None]
    return go.Scatter(
        x=x,
        y=y,
        yaxis=axis,
        name=name,
        mode="lines",
        line={"color": colour, "width": 2, "shape": "hv"},
        hovertemplate=f"%{{y}} {name}<extra></extra>",
    )


def _over_ramp(level: Level, percentile: str, colour: str) -> go.Scatter:
    windows = [window for window in level["windows"] if window["e2e_s"]]
    return go.Scatter(
        x=[window["load"] for window in windows],
        y=[window["e2e_s"][percentile] for window in windows],
        name=f"{_name(level)} {percentile}",
        mode="lines+markers",
        line={"color": colour, "width": 2, "dash": "dot" if percentile == "p95" else "solid"},
        hovertemplate=f"{percentile} %{{y:.3f}} s at %{{x:.1f}}<extra></extra>",
    )


def _completed(level: Level, colour: str) -> go.Scatter:
    windows = level["windows"]
    return go.Scatter(
        x=[window["load"] for window in windows],
        y=[window["throughput_per_s"] for window in windows],
        yaxis="y2",
        name=f"{_name(level)} requests/s",
        mode="lines+markers",
        line={"color": colour, "width": 2},
        hovertemplate="%{y:.2f} requests/s at %{x:.1f}<extra></extra>",
    )


def _mark_window(figure: go.Figure, level: Level) -> None:
    begin, end = level["began_s"], level["began_s"] + level["window_s"]
    figure.add_shape(
        type="rect",
        x0=begin,
        x1=end,
        y0=0,
        y1=1,
        yref="paper",
        layer="below",
        fillcolor=GREY,
        opacity=0.12,
        line_width=0,
    )
    figure.add_annotation(
        x=(begin + end) / 2,
        y=1,
        yref="paper",
        yanchor="bottom",
        text=f"level {_name(level)}",
        showarrow=False,
    )


def _answers(level: Level) -> Sequence[tuple[float, int]]:
    """Latency and output tokens of what was measured and succeeded."""
    records = level["records"]
    columns = (records["measured"], records["e2e_s"], records["output_tokens"])
    rows = zip(*columns, strict=True)
    return [(e2e_s, tokens) for measured, e2e_s, tokens in rows if measured and e2e_s is not None]


def _slo_text(report: Report) -> str:
    slo = report["load"]["slo"]
    law = f"{slo['latency_s']:g} s + {slo['tpot_s']:g} s a token"
    limit_s = slo_limit_s(report)
    if limit_s is None:
        return f"good is within {law}, so no one line."
    return f"what is right of the dashed line broke the SLO ({law})."


def _level_title(report: Report) -> str:
    return f"level: {MEANING[report['levels'][0]['kind']]}"


def _name(level: Level) -> str:
    """As plotly shows it, which takes some tags for markup."""
    return escape(level_name(level))


def _lay_out(figure: go.Figure, x: str, y: str) -> None:
    figure.update_layout(template=TEMPLATE)
    figure.update_xaxes(title_text=x)
    figure.update_yaxes(title_text=y)
