"""The report of a test as JSON and CSV; `docs/loadtest.md` says what the fields mean."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from headrace.core.machine import machine
from headrace.core.version import version
from headrace.loadtest.figures import Spread
from headrace.loadtest.load_test import LoadTest
from headrace.loadtest.measurement import Measurement
from headrace.loadtest.parts import Part, RampWindow
from headrace.loadtest.repeats import repeated_levels
from headrace.loadtest.result import Result

SCHEMA = "headrace.loadtest/3"

NOT_IN_CSV = frozenset({"checks", "records", "fleet", "turns", "windows"})
BARE_VALUE = re.compile(r"\n +(-?\d[^\s,]*|null|true|false)(,?)(?=\n)")
"""A line with an element of a list and nothing else."""


def write_json(test: LoadTest, path: Path) -> None:
    """Indented, but for lists of numbers: those of all requests are a line each."""
    text = json.dumps(report(test), indent=2, ensure_ascii=False)
    path.write_text(BARE_VALUE.sub(r" \1\2", text) + "\n")


def write_csv(test: LoadTest, path: Path) -> None:
    """A row a level; a column is the dotted path of the JSON field."""
    rows = [{"schema": SCHEMA, **dict(_leaves(level))} for level in level_records(test.results)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def report(test: LoadTest) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "headrace": version(),
        "started_at": test.started_at.isoformat(timespec="seconds"),
        "url": test.plan.address.root,
        "api": test.plan.api,
        "model": test.model,
        "machine": machine(),
        "load": test.plan.describe(),
        "levels": level_records(test.results),
        "repeats": repeat_records(test.results, [each.name for each in test.plan.service_levels]),
    }


def level_records(results: Sequence[Result]) -> list[dict[str, Any]]:
    """A record a level and run."""
    return [
        _level(result, first, len(level.runs))
        for level in repeated_levels(results)
        for result, first in zip(level.runs, level.firsts, strict=True)
    ]


def level_record(result: Result) -> dict[str, Any]:
    """The record of a level whose other runs are not known yet."""
    return _level(result, result, 1)


def repeat_records(
    results: Sequence[Result], service_levels: Sequence[str]
) -> list[dict[str, Any]]:
    """The medians of each level; empty where every level ran once."""
    return [
        {
            "level": level.label,
            "kind": level.load.kind,
            "runs": len(level.runs),
            "valid_runs": len(level.valid_runs),
            "valid": not level.problems,
            "problems": list(level.problems),
            "figures": {
                str(name): {
                    field: round(number, 6) if isinstance(number, float) else number
                    for field, number in asdict(value).items()
                }
                for name, value in level.values(service_levels).items()
            },
        }
        for level in repeated_levels(results)
        if len(level.runs) > 1
    ]


def _level(result: Result, first: Result, runs: int) -> dict[str, Any]:
    figures = result.figures
    return {
        "level": result.load.label,
        "kind": result.load.kind,
        "run": result.run,
        "runs": runs,
        **result.load.describe(),
        "valid": result.is_valid,
        "problems": list(result.problems),
        "notes": list(result.remarks),
        "began_s": round(result.began_s, 3),
        "window_s": round(figures.window_s, 3),
        "offered_per_s": round(result.measurement.offered_per_s, 4),
        "requests": figures.requests,
        "succeeded": figures.succeeded,
        "errors": {
            "total": sum(figures.errors.values()),
            "kinds": dict(figures.errors),
            "messages": dict(figures.messages),
        },
        "throughput_per_s": round(figures.throughput, 4),
        "input_tokens_per_s": round(figures.input_tokens_per_s, 2),
        "output_tokens_per_s": round(figures.output_tokens_per_s, 2),
        "e2e_s": _spread(figures.e2e),
        "ttft_s": _spread(figures.ttft),
        "tpot_s": _spread(figures.tpot),
        "stages_s": {
            name: {**_percents(values), "mean": round(figures.stage_means_s[name], 6)}
            for name, values in figures.stages_s.items()
        },
        "batch_size": figures.batch_size and round(figures.batch_size, 2),
        "goodput": {
            name: {"share": each.share, "per_s": round(each.per_s, 4)}
            for name, each in figures.goodput.items()
        },
        "cached_share": _rounded(figures.cached_share),
        "turns": [{"turn": turn, **_part(part)} for turn, part in figures.turns.items()],
        "windows": [_window(window) for window in figures.windows],
        "degradation": _percents(result.degradation(first)),
        "in_flight": round(figures.in_flight, 3),
        "generator_cpu_ms_per_request": round(figures.cpu_ms_per_request, 3),
        "checks": [asdict(check) for check in result.checks],
        "fleet": _fleet(result),
        "records": _records(result.measurement),
    }


def _window(window: RampWindow) -> dict[str, Any]:
    return {
        "begin_s": round(window.begin_s, 3),
        "end_s": round(window.end_s, 3),
        "load": round(window.load, 3),
        "in_flight": round(window.in_flight, 3),
        "throughput_per_s": round(window.throughput, 4),
        "output_tokens_per_s": round(window.output_tokens_per_s, 2),
        **_part(window.part),
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "requests": part.requests,
        "errors": part.errors,
        "input_tokens": part.input_tokens and round(part.input_tokens, 2),
        "cached_share": _rounded(part.cached_share),
        "e2e_s": _percents(part.e2e_s),
        "ttft_s": _percents(part.ttft_s),
        "good": dict(part.good),
    }


def _fleet(result: Result) -> dict[str, Any] | None:
    """Columns, a row a second. None where the server shows no fleet."""
    watched, start = result.watched, result.measurement.start
    if not watched.moments:
        return None
    counts = ("waiting", "running", "workers", "starting")
    return {
        "slots": watched.slots,
        "engine": watched.engine,
        "cold_starts_s": [round(each, 3) for each in watched.cold_starts_s],
        "steps": None if watched.steps is None else asdict(watched.steps),
        "at_s": [round(moment.at - start, 3) for moment in watched.moments],
        **{name: [getattr(each, name) for each in watched.moments] for name in counts},
    }


def _records(measurement: Measurement) -> dict[str, Any]:
    """Columns, a row a request in the order of sending, those of the warm-up included."""
    records = measurement.records
    return {
        "at_s": [round(record.scheduled - measurement.start, 4) for record in records],
        "measured": [record.measured for record in records],
        "turn": [record.turn for record in records],
        "e2e_s": [round(record.e2e_s, 5) if record.succeeded else None for record in records],
        "ttft_s": [_rounded(record.ttft_s) for record in records],
        "tpot_s": [
            _rounded(record.known_tpot_s) if record.succeeded else None for record in records
        ],
        "input_tokens": [record.input_tokens for record in records],
        "output_tokens": [record.output_tokens for record in records],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)


def _spread(spread: Spread | None) -> dict[str, Any] | None:
    if spread is None:
        return None
    return {
        "count": spread.count,
        "source": spread.source,
        **{
            f"p{percent}": {
                "value": round(estimate.value, 6),
                "low": round(estimate.low, 6),
                "high": round(estimate.high, 6),
                "supported": estimate.supported,
            }
            for percent, estimate in spread.percentiles.items()
        },
    }


def _percents(values: Mapping[int, float]) -> dict[str, float]:
    return {f"p{percent}": round(value, 6) for percent, value in values.items()}


def _leaves(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if name in NOT_IN_CSV:
            continue
        if isinstance(inner, dict):
            yield from _leaves(inner, f"{path}{name}.")
        else:
            yield f"{path}{name}", "; ".join(inner) if isinstance(inner, list) else inner
