"""Shows jobs as tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote

from rich.table import Table
from rich.text import Text

from headrace.cli.api_client import ApiClient, Json
from headrace.cli.terminal import console, harmless, show_json

STYLES = {"queued": "yellow", "running": "cyan", "succeeded": "green", "failed": "red"}
WIDE_ONLY = {"model", "priority", "tries"}
WIDE = 110
"""Columns of a terminal that has room for all of a job; narrower ones show what must be read."""


def show_jobs(client: ApiClient, state: str | None, limit: int, as_json: bool) -> None:
    answer = client.get("/v1/jobs", state=state, limit=limit)
    if as_json:
        show_json(answer)
    elif answer["data"]:
        console().print(_table(answer["data"], console().width))
    else:
        console().print("no jobs")


def show_job(client: ApiClient, job_id: str, as_json: bool) -> None:
    job = client.get(f"/v1/jobs/{quote(job_id, safe='')}")
    if as_json:
        show_json(job)
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in _leaves(job):
        shown = _local_time(value) if name.endswith("_at") else str(value)
        table.add_row(Text(name, style="dim"), Text(harmless(shown)))
    console().print(table)


def _table(jobs: list[Json], width: int) -> Table:
    rows = [_cells(job) for job in jobs]
    columns = [name for name in rows[0] if width >= WIDE or name not in WIDE_ONLY]
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*(row[name] for name in columns))
    return table


def _cells(job: Json) -> dict[str, Text]:
    usage = job.get("usage") or {}
    return {
        "id": Text(job["id"]),
        "status": Text(job["status"], style=STYLES.get(job["status"], "dim")),
        "created": Text(_local_time(job["created_at"])[5:]),
        "model": Text(job["model"]),
        "priority": Text(job["priority"]),
        "in": Text(str(usage.get("prompt_tokens", ""))),
        "out": Text(str(usage.get("completion_tokens", ""))),
        "tries": Text(str(job["attempts"])),
        "seconds": Text(_seconds(job["timings"]["total_ms"])),
    }


def _leaves(value: Json, path: str = "") -> Iterator[tuple[str, object]]:
    """Each value that is set, named by its dotted path."""
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from _leaves(inner, f"{path}{name}.")
        elif inner is not None:
            yield f"{path}{name}", inner


def _seconds(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.2f}" if milliseconds else ""


def _local_time(epoch_s: object) -> str:
    if not isinstance(epoch_s, int | float):
        return ""
    return datetime.fromtimestamp(epoch_s).strftime("%Y-%m-%d %H:%M:%S")
