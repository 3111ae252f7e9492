"""`headrace purge`: removes jobs with their prompts and results."""

from __future__ import annotations

import click

from headrace.cli.confirmation import confirm, count_of, yes_option
from headrace.cli.url_option import url_option

EPILOG = """\b
For example:
  headrace purge 0b8a3f6e5d0c4f1e9f0a2b8c7d6e5f40
  headrace purge --yes 0b8a3f6e5d0c4f1e9f0a2b8c7d6e5f40
"""


@click.command(epilog=EPILOG)
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@url_option()
@yes_option()
def purge(job_ids: tuple[str, ...], url: str, yes: bool) -> None:
    """Remove jobs for good, with their prompts and results.

    One that waits or runs is cancelled first. Asks before; a script says --yes.
    """
    from headrace.cli.api_client import JOBS, ApiClient, path_of
    from headrace.cli.one_by_one import one_by_one

    confirm(f"Purge {count_of(job_ids, 'job', 'jobs')} for good?", yes)
    client = ApiClient(url)

    def purge_one(job_id: str) -> None:
        client.delete(path_of(JOBS, job_id), purge="true")
        click.echo(f"{job_id} purged")

    one_by_one(job_ids, purge_one)
