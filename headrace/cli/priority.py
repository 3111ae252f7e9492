"""`headrace priority`: lets a waiting job go earlier or later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headrace.cli.api_options import api_options
from headrace.cli.json_option import json_option
from headrace.core.types import Priority

if TYPE_CHECKING:
    from headrace.cli.api_client import ApiClient

EPILOG = """\b
For example:
  headrace priority 0b8a3f6e5d0c4f1e9f0a2b8c7d6e5f40 interactive
"""


@click.command(epilog=EPILOG)
@click.argument("job_id", metavar="ID")
@click.argument("priority", type=click.Choice([priority.value for priority in Priority]))
@api_options()
@json_option()
def priority(job_id: str, priority: str, client: ApiClient, as_json: bool) -> None:
    """Move a waiting job into another queue.

    It is an error if the job no longer waits.
    """
    from headrace.cli.api_client import JOBS, path_of
    from headrace.cli.terminal import show_json

    job = client.patch(path_of(JOBS, job_id), {"priority": priority})
    if as_json:
        show_json(job)
    else:
        click.echo(f"{job_id} {job['priority']}, {_place(job['position'])}")


def _place(position: int | None) -> str:
    if position is None:
        return "runs already"
    return f"{position} in front of it" if position else "next"
