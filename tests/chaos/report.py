"""The report: a Markdown table for people, JSON for whoever compares."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from typing import Any

from bench.machine_conditions import commit
from headrace.loadtest.quantiles import percentile
from tests.chaos.faults.worker_killed import WorkerKilled
from tests.chaos.row import Row, rounded
from tests.chaos.site import LEASE_S

HEAD = (
    "fault",
    "seeds",
    "jobs",
    "lost",
    "duplicated",
    "contradicted",
    "redelivered",
    "charged with a death",
    "recovery p50 / p99 / max, s",
    "bound held",
)


def markdown(rows: Sequence[Row]) -> str:
    lines = [HEAD, ("---", *("---:" for _ in HEAD[1:-1]), "---"), *map(_cells, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def as_json(rows: Sequence[Row], seeds: int, seconds: float) -> dict[str, Any]:
    return {
        "commit": commit(),
        "seeds": seeds,
        "seconds": round(seconds),
        "cpu": f"{os.cpu_count()} x {platform.processor() or platform.machine()}",
        "takeover": takeover(rows),
        "faults": [row.as_json() for row in rows],
    }


def takeover(rows: Sequence[Row]) -> dict[str, float | None]:
    """From a worker's kill until a live one has claimed its jobs, over all variants of fault 1."""
    return {
        "lease_s": LEASE_S,
        "alone_p99_s": rounded(_takeover_p99(rows, supervised=False)),
        "supervised_p99_s": rounded(_takeover_p99(rows, supervised=True)),
    }


def _takeover_p99(rows: Sequence[Row], *, supervised: bool) -> float | None:
    kills = [row for row in rows if isinstance(row.fault, WorkerKilled)]
    chosen = [row.recoveries for row in kills if row.fault.supervised is supervised]
    seconds = sorted(value for values in chosen for value in values)
    return percentile(seconds, 99) if seconds else None


def _cells(row: Row) -> tuple[str, ...]:
    promises = (row.lost, row.duplicated, row.contradicted)
    counts = (row.seeds, row.jobs, *promises, row.redelivered, row.blamed)
    recovery = " / ".join(_seconds(row.recovery_s(percent)) for percent in (50, 99, 100))
    return (
        f"{row.fault.number} {row.fault.name}",
        *map(str, counts),
        recovery if row.recoveries else "-",
        "yes" if row.held else "**no**",
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
