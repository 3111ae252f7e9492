"""Shows jobs as tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from headrace.cli.api_client import JOBS, ApiClient, Json, path_of
from headrace.cli.record_view import local_time, show_record, table_of
from headrace.cli.terminal import console, harmless, show_json

STYLES = {"queued": "yellow", "running": "cyan", "succeeded": "green", "failed": "red"}
WIDE_ONLY = {"model", "priority", "tries"}
MOMENT_COLUMNS = {"at", "after_ms", "event", "attempt", "worker", "batch_size"}


def show_jobs(client: ApiClient, state: str | None, limit: int, as_json: bool) -> None:
    answer = client.get(JOBS, state=state, limit=limit)
    # A page may be short where jobs of the state are rare.
    while len(answer["data"]) < limit and answer.get("has_more"):
        asked = {"limit": limit - len(answer["data"]), "after": answer["next_cursor"]}
        more = client.get(JOBS, state=state, **asked)
        answer = more | {"data": answer["data"] + more["data"]}
    if as_json:
        show_json(answer)
    elif answer["data"]:
        console().print(_table(answer["data"], console().width))
    else:
        console().print("no jobs")


def show_job(client: ApiClient, job_id: str, as_json: bool) -> None:
    show_record(client.get(path_of(JOBS, job_id)), as_json)


def show_timeline(client: ApiClient, job_id: str, as_json: bool) -> None:
    answer = client.get(f"{path_of(JOBS, job_id)}/timeline")
    if as_json:
        show_json(answer)
    elif answer["data"]:
        console().print(timeline_table(answer["data"], console().width))
    else:
        console().print("nothing yet")


def timeline_table(moments: Sequence[Json], width: int) -> Table:
    return table_of([_moment_cells(moment) for moment in moments], {"at", "details"}, width)


def _moment_cells(moment: Json) -> dict[str, Text]:
    details = {name: value for name, value in moment.items() if name not in MOMENT_COLUMNS}
    return {
        "at": Text(local_time(moment["at"])),
        "seconds": Text(f"{moment['after_ms'] / 1000:.3f}"),
        "event": Text(moment["event"], style=STYLES.get(moment["event"], "")),
        "try": Text(str(moment.get("attempt", ""))),
        "worker": Text(harmless(moment.get("worker", ""))),
        "batch": Text(str(moment.get("batch_size", ""))),
        "details": Text(" ".join(f"{name}={value}" for name, value in details.items())),
    }


def _table(jobs: list[Json], width: int) -> Table:
    return table_of([_cells(job) for job in jobs], WIDE_ONLY, width)


def _cells(job: Json) -> dict[str, Text]:
    usage = job.get("usage") or {}
    return {
        "id": Text(job["id"]),
        "status": Text(_status(job), style=STYLES.get(job["status"], "dim")),
        "created": Text(local_time(job["created_at"])[5:]),
        "model": Text(job["model"]),
        "priority": Text(job["priority"]),
        "in": Text(str(usage.get("prompt_tokens", ""))),
        "out": Text(str(usage.get("completion_tokens", ""))),
        "tries": Text(str(job["attempts"])),
        "seconds": Text(_seconds(job["timings"]["total_ms"])),
    }


def _status(job: Json) -> str:
    """Tells a job that waits for its turn from one that waits for its model."""
    return "set aside" if job.get("waiting_for") else str(job["status"])


def _seconds(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.2f}" if milliseconds else ""
