"""`headrace jobs`: what was asked lately, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headrace.cli.api_options import api_options
from headrace.cli.json_option import json_option
from headrace.core.types import JobState

if TYPE_CHECKING:
    from headrace.cli.api_client import ApiClient

EPILOG = """\b
For example:
  headrace jobs --state running
  headrace jobs 0b8a3f6e5d0c4f1e9f0a2b8c7d6e5f40
  headrace jobs 0b8a3f6e5d0c4f1e9f0a2b8c7d6e5f40 --watch
"""


@click.command(epilog=EPILOG)
@click.argument("job_id", required=False)
@api_options()
@click.option(
    "--state",
    type=click.Choice([state.value for state in JobState]),
    help="Only jobs in this state.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="Newest jobs to show.",
)
@click.option("--watch", is_flag=True, help="Show the text of JOB_ID while it is written.")
@click.option("--timeline", is_flag=True, help="Show what happened to JOB_ID, and when.")
@json_option()
def jobs(
    job_id: str | None,
    client: ApiClient,
    state: str | None,
    limit: int,
    watch: bool,
    timeline: bool,
    as_json: bool,
) -> None:
    """List the newest jobs, or show the one named JOB_ID."""
    from headrace.cli.job_view import show_job, show_jobs, show_timeline
    from headrace.cli.job_watch import watch_job

    if (watch or timeline) and not job_id:
        raise click.UsageError("name the job")
    if watch and (timeline or as_json):
        raise click.UsageError("--watch shows the text, and nothing else")
    if not job_id:
        show_jobs(client, state, limit, as_json)
    elif watch:
        watch_job(client, job_id)
    elif timeline:
        show_timeline(client, job_id, as_json)
    else:
        show_job(client, job_id, as_json)
