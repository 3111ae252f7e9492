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
@json_option()
def jobs(
    job_id: str | None, client: ApiClient, state: str | None, limit: int, as_json: bool
) -> None:
    """List the newest jobs, or show the one named JOB_ID."""
    from headrace.cli.job_view import show_job, show_jobs

    if job_id:
        show_job(client, job_id, as_json)
    else:
        show_jobs(client, state, limit, as_json)
