"""The load of a load test, from its report: all levels, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from math import inf

from headrace.core.errors import InvalidRequest
from headrace.core.step_sums import StepSums
from headrace.loadtest.saved import SavedLevel, SavedReport
from headrace.planning.recording import Recording, changes
from headrace.planning.trace import Trace

Row = tuple[float, float, float, float, float | None]
"""When it came, its tokens in and out, and after how long it ended and began."""


def recording_of(report: SavedReport) -> Recording:
    """Raises `InvalidRequest` for a load of which the server told nothing."""
    rows = sorted(row for level in report.levels for row in _rows(level))
    fleets = [(level, level.fleet) for level in report.levels if level.fleet]
    if not rows or not fleets:
        raise InvalidRequest("the report shows no requests, or nothing of queue and workers")
    begin = rows[0][0]
    at, prompts, outputs, e2e_s, ttft_s = map(list, zip(*rows, strict=True))
    sizes = [
        (max(0.0, level.began_s + moment - begin), workers + starting)
        for level, fleet in fleets
        for moment, workers, starting in zip(
            fleet["at_s"], fleet["workers"], fleet["starting"], strict=True
        )
    ]
    return Recording(
        source=f"load test of {report.started_at}",
        trace=Trace([moment - begin for moment in at], prompts, outputs, _end(rows) - begin),
        e2e_s=e2e_s,
        ttft_s=ttft_s,
        sizes=changes(sizes),
        steps=_steps(fleet["steps"] for _level, fleet in fleets),
        slots=fleets[-1][1]["slots"],
        cold_starts_s=fleets[-1][1]["cold_starts_s"],
    )


def _rows(level: SavedLevel) -> Iterator[Row]:
    """What failed took a slot for nobody knows how long: its answer is taken as a token long."""
    columns = asdict(level.records)
    for at, prompt, output, e2e, ttft in zip(
        *(columns[name] for name in ("at_s", "input_tokens", "output_tokens", "e2e_s", "ttft_s")),
        strict=True,
    ):
        prompt = prompt or level.prompt_tokens or 1
        yield level.began_s + at, prompt, max(1, output), inf if e2e is None else e2e, ttft


def _end(rows: list[Row]) -> float:
    """Of the last answer."""
    return max(at + e2e if e2e < inf else at for at, _prompt, _output, e2e, _ttft in rows)


def _steps(sums: Iterator[dict[str, float] | None]) -> StepSums:
    total = StepSums()
    for each in sums:
        total = total.plus(StepSums(**each)) if each else total  # type: ignore[arg-type]
    return total
