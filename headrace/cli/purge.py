"""`headrace purge`: removes jobs with their prompts and results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headrace.cli.api_options import api_options
from headrace.cli.confirmation import confirm, count_of, yes_option

if TYPE_CHECKING:
    from headrace.cli.api_client import ApiClient

EPILOG = """\b
For example:
  headrace purge 0b8a3f6e5d0c4f1e9f0a2b8c7d6e5f40
  headrace purge --yes 0b8a3f6e5d0c4f1e9f0a2b8c7d6e5f40
"""


@click.command(epilog=EPILOG)
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@api_options()
@yes_option()
def purge(job_ids: tuple[str, ...], client: ApiClient, yes: bool) -> None:
    """Remove jobs for good, with their prompts and results.

    One that waits or runs is cancelled first. Asks before; a script says --yes.
    """
    from headrace.cli.api_client import JOBS, path_of
    from headrace.cli.one_by_one import one_by_one

    confirm(f"Purge {count_of(job_ids, 'job', 'jobs')} for good?", yes)

    def purge_one(job_id: str) -> None:
        client.delete(path_of(JOBS, job_id), purge="true")
        click.echo(f"{job_id} purged")

    one_by_one(job_ids, purge_one)
