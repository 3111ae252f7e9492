"""Shows what a load would have cost under other policies, beside what it did cost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from headrace.cli.deployment_redis import open_redis
from headrace.cli.record_view import table_of
from headrace.cli.terminal import console
from headrace.core.settings import Settings
from headrace.loadtest.saved import read_report
from headrace.loadtest.slo import Slo
from headrace.planning.history import read_history
from headrace.planning.recording import Recording
from headrace.planning.replay import WhatIf, happened, replay
from headrace.planning.slo_score import SloScore
from headrace.planning.tested import recording_of
from scaler.mind import rules_of
from scaler.rules import PolicyName

HAPPENED = "what happened"
MOST_WORKERS = 8
"""Of a record that does not say how many there were."""


@dataclass(frozen=True)
class Question:
    """What is asked of a recorded load."""

    policies: Sequence[PolicyName]
    cold_start_s: float | None
    speed: float
    as_json: bool


def show_replay(
    settings: Settings, report: Path | None, since_s: float | None, question: Question
) -> None:
    """Raises `InvalidRequest` for a record of which nothing can be said."""
    recording = _recording(settings, report, since_s)
    settings = _bounded(settings, recording)
    rows = dict(_rows(recording, settings, question))
    if question.as_json:
        click.echo(json.dumps({"source": recording.source, "rows": [*map(_encode, rows.items())]}))
        return
    console().print(table_of([_cells(*row) for row in rows.items()], set(), console().width))
    console().print(Text(_legend(recording, settings, question), style="dim"))


def _recording(settings: Settings, report: Path | None, since_s: float | None) -> Recording:
    if report is not None:
        if since_s is not None:
            raise click.UsageError("--since is for the completion log")
        return recording_of(read_report(report))
    with open_redis(settings) as redis:
        return read_history(redis, settings, since_s)


def _bounded(settings: Settings, recording: Recording) -> Settings:
    """Where nobody said how many workers there may be: as many as there were."""
    if settings.scaler_max is not None:
        return settings
    most = max((size for _at, size in recording.sizes), default=MOST_WORKERS)
    return settings.model_copy(update={"scaler_max": max(most, settings.scaler_min)})


def _rows(
    recording: Recording, settings: Settings, question: Question
) -> Iterator[tuple[str, SloScore]]:
    yield HAPPENED, happened(recording, Slo(settings.slo_latency_s, settings.slo_tpot_s))
    rules = rules_of(settings)
    for policy in question.policies:
        what_if = WhatIf(
            replace(rules, policy=policy),
            settings.scaler_tick_s,
            question.cold_start_s,
            question.speed,
        )
        yield policy, replay(recording, what_if)


def _encode(row: tuple[str, SloScore]) -> Mapping[str, Any]:
    """JSON knows no infinity."""
    name, found = row
    figures = asdict(found)
    known = {key: value for key, value in figures.items() if value is None or isfinite(value)}
    return {"row": name, **dict.fromkeys(figures), **known}


def _cells(name: str, found: SloScore) -> dict[str, Text]:
    return {
        "": Text(name, style="bold" if name == HAPPENED else ""),
        "worker s": Text(_or_unknown(found.worker_s, "{:.0f}")),
        "good": Text(f"{found.attainment:.2%}"),
        "bad s": Text(str(found.violation_s)),
        "p50 s": Text(_or_unknown(found.p50_s, "{:.2f}")),
        "p95 s": Text(_or_unknown(found.p95_s, "{:.2f}")),
        "most": Text(_or_unknown(found.most_workers, "{:d}")),
        "changes": Text(_or_unknown(found.changes, "{:d}")),
    }


def _or_unknown(value: float | None, form: str) -> str:
    if value is None:
        return "?"
    return form.format(value) if isfinite(value) else "never"


def _legend(recording: Recording, settings: Settings, question: Question) -> str:
    seconds = recording.trace.seconds / question.speed
    return (
        f"{recording.source}: {len(recording.trace)} requests in {seconds:.0f} s. Good: within"
        f" {settings.slo_latency_s:g} s + {settings.slo_tpot_s:g} s a token, begun within"
        f" {settings.slo_latency_s:g} s; bad s: seconds in which one came that was not."
        f" {settings.scaler_min} to {settings.scaler_max} workers."
    )
