"""How `headrace slo` shows a reading: for people, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from headrace.cli.percentiles import PERCENTS, percentiles
from headrace.cli.top_view import alerts_text
from headrace.core.readings.slo import SloReading
from headrace.core.readings.slo_course import Tally

COLUMNS = ("window", "jobs", "good", "failed", "late", "jobs/s", "burn rate")


def view(reading: SloReading) -> RenderableType:
    return Group(*_promise(reading), Text(""), _windows(reading), Text(""), *_now(reading))


def as_record(reading: SloReading) -> dict[str, Any]:
    """Times in seconds, shares of 1; what is not known is None."""
    recent = reading.recent
    return {
        "objective": reading.objective,
        "latency_s": reading.latency_s,
        "budget_left": reading.budget_left,
        "windows": {
            name: asdict(tally)
            | {
                "availability": _share(tally.total - tally.failed, tally),
                "good_share": _share(tally.good, tally),
                "error_rate": _share(tally.failed, tally),
                "burn_rate": tally.burn_rate(reading.objective),
            }
            for name, tally in reading.tallies.items()
        },
        "last_minute": {
            "jobs_per_s": recent.succeeded / recent.seconds,
            "output_tokens_per_s": recent.output_tokens / recent.seconds,
            "ttft_s": _named(percentiles(recent.ttft_s)),
            "e2e_s": _named(percentiles(recent.e2e_s)),
        },
        "alerts": [asdict(alert) for alert in reading.alerts],
    }


def _promise(reading: SloReading) -> Iterator[Text]:
    whole, left = reading.tallies["30d"], reading.budget_left
    yield Text(
        f"promised: {reading.objective:.2%} good over 30 days; a first token within"
        f" {reading.latency_s:g} s"
    )
    if left is None:
        yield Text("no job has ended yet")
        return
    style = "bold red" if left < 0 else "green"
    yield Text.assemble(
        f"kept: {whole.good / whole.total:.3%} of {whole.total} jobs; error budget left: ",
        (f"{left:.1%}", style),
    )
    yield Text(f"available: {(whole.total - whole.failed) / whole.total:.3%} of them got an answer")


def _windows(reading: SloReading) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "window" else "right")
    for name, tally in reading.tallies.items():
        table.add_row(name, *_cells(tally, reading.objective))
    return table


def _cells(tally: Tally, objective: float) -> Iterator[Text]:
    rate = tally.burn_rate(objective)
    yield Text(str(tally.total))
    if rate is None:
        yield from (Text("-", "dim") for _column in COLUMNS[2:])
        return
    yield Text(f"{tally.good / tally.total:.2%}")
    yield Text(f"{tally.failed / tally.total:.2%}", "red" if tally.failed else "")
    yield Text(f"{(tally.total - tally.good - tally.failed) / tally.total:.2%}")
    yield Text(f"{tally.total / tally.seconds:.2f}" if tally.seconds else "-")
    yield Text(f"{rate:.1f}", "red" if rate > 1 else "")


def _now(reading: SloReading) -> Iterator[RenderableType]:
    recent = reading.recent
    yield Text(
        f"last minute: {recent.succeeded / recent.seconds:.1f} jobs/s,"
        f" {recent.output_tokens / recent.seconds:.0f} tokens/s, {recent.failed} failed"
    )
    for name, times in (("first token", recent.ttft_s), ("whole answer", recent.e2e_s)):
        values = zip(PERCENTS, percentiles(times), strict=True)
        shown = (f"p{percent} {'-' if s is None else f'{s:.2f} s'}" for percent, s in values)
        yield Text(f"{name}: {', '.join(shown)}")
    yield alerts_text(reading.alerts)


def _share(count: int, tally: Tally) -> float | None:
    return count / tally.total if tally.total else None


def _named(values: Sequence[float | None]) -> dict[str, float | None]:
    return {f"p{percent}": value for percent, value in zip(PERCENTS, values, strict=True)}
