"""Shows jobs as tables."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from headrace.cli.api_client import JOBS, ApiClient, Json, path_of
from headrace.cli.record_view import local_time, show_record, table_of
from headrace.cli.terminal import console, show_json

STYLES = {"queued": "yellow", "running": "cyan", "succeeded": "green", "failed": "red"}
WIDE_ONLY = {"model", "priority", "tries"}


def show_jobs(client: ApiClient, state: str | None, limit: int, as_json: bool) -> None:
    answer = client.get(JOBS, state=state, limit=limit)
    if as_json:
        show_json(answer)
    elif answer["data"]:
        console().print(_table(answer["data"], console().width))
    else:
        console().print("no jobs")


def show_job(client: ApiClient, job_id: str, as_json: bool) -> None:
    show_record(client.get(path_of(JOBS, job_id)), as_json)


def _table(jobs: list[Json], width: int) -> Table:
    return table_of([_cells(job) for job in jobs], WIDE_ONLY, width)


def _cells(job: Json) -> dict[str, Text]:
    usage = job.get("usage") or {}
    return {
        "id": Text(job["id"]),
        "status": Text(job["status"], style=STYLES.get(job["status"], "dim")),
        "created": Text(local_time(job["created_at"])[5:]),
        "model": Text(job["model"]),
        "priority": Text(job["priority"]),
        "in": Text(str(usage.get("prompt_tokens", ""))),
        "out": Text(str(usage.get("completion_tokens", ""))),
        "tries": Text(str(job["attempts"])),
        "seconds": Text(_seconds(job["timings"]["total_ms"])),
    }


def _seconds(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.2f}" if milliseconds else ""
