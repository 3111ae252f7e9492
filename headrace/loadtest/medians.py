"""The levels of a report, each once: of one that ran several times the medians of its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from headrace.loadtest.quantiles import PERCENTS

Report = Mapping[str, Any]
Level = Mapping[str, Any]


def medians(report: Report) -> Sequence[Level]:
    """In the shape of the report's own levels, for plots."""
    if not report["repeats"]:
        return report["levels"]  # type: ignore[no-any-return]
    repeated = {(each["kind"], each["level"]): each for each in report["repeats"]}
    runs: dict[tuple[str, str], list[Level]] = {}
    for level in report["levels"]:
        runs.setdefault((level["kind"], level["level"]), []).append(level)
    return [
        _median(repeated[key], levels) if key in repeated else levels[0]
        for key, levels in runs.items()
    ]


def _median(repeat: Level, runs: Sequence[Level]) -> Level:
    """In the shape of a level."""
    figures = repeat["figures"]
    e2e = {f"p{each}": figures[f"e2e.p{each}"] for each in PERCENTS if f"e2e.p{each}" in figures}
    counted = [run for run in runs if run["valid"]] or runs
    return {
        **runs[0],
        "runs": 1,
        "valid": repeat["valid"],
        "offered_per_s": median(run["offered_per_s"] for run in counted),
        "throughput_per_s": figures.get("throughput", {"value": 0.0})["value"],
        "e2e_s": {name: _interval(each) for name, each in e2e.items()} or None,
        "goodput": {
            name: {
                "share": figures.get(f"goodput.{name}", {"value": 0.0})["value"],
                "per_s": figures.get(f"goodput_per_s.{name}", {"value": 0.0})["value"],
            }
            for name in runs[0]["goodput"]
        },
    }


def _interval(figure: Mapping[str, Any]) -> Mapping[str, Any]:
    """As wide as nothing where a single run is left."""
    if figure["low"] is not None:
        return figure
    return {**figure, "low": figure["value"], "high": figure["value"]}
