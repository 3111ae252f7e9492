"""Shows a job's text while it is written, and goes on where a connection broke."""

from __future__ import annotations

import time
from collections.abc import Iterator

import click

from headrace.cli.answer import shown
from headrace.cli.api_client import JOBS, ApiClient, Event, Json, path_of
from headrace.core.errors import JobFailed, Unavailable

PATIENCE_S = 60.0
"""How long to ask an API that gives no event: it may start again."""

RETRY_S = 1.0


def watch_job(client: ApiClient, job_id: str) -> None:
    """Raises `JobFailed` for a job that does not succeed, `Unavailable`, `JobNotFound`."""
    for event in job_events(client, job_id):
        if event.name == "token":
            click.echo(shown(event.data["text"]), nl=False)
        if event.name == "end":
            click.echo()
            _show_end(job_id, event.data)


def job_events(client: ApiClient, job_id: str) -> Iterator[Event]:
    """Each event once, the last is the `end`; connections that break are made again."""
    place: str | None = None
    patient_until = time.monotonic() + PATIENCE_S
    while True:
        try:
            for event in client.events(f"{path_of(JOBS, job_id)}/stream", place):
                yield event
                if event.name == "end":
                    return
                place = event.place or place
                patient_until = time.monotonic() + PATIENCE_S
        except Unavailable:
            if time.monotonic() > patient_until:
                raise
        time.sleep(RETRY_S)


def _show_end(job_id: str, end: Json) -> None:
    if end["status"] != "succeeded":
        raise JobFailed(job_id, end["status"], end["reason"] or "no reason known")
    tokens = end["usage"]["completion_tokens"]
    click.secho(f"{tokens} output tokens · {end['finish_reason']}", dim=True, err=True)
