"""`headrace dead`: the jobs that were given up on; look at them, replay them, purge them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headrace.cli.api_options import api_options
from headrace.cli.confirmation import confirm, count_of, yes_option
from headrace.cli.duration import duration
from headrace.cli.json_option import json_option

if TYPE_CHECKING:
    from headrace.cli.api_client import ApiClient

EPILOG = """\b
For example:
  headrace dead list
  headrace dead show 0b8a3f6e5d0c4f1e9f0a2b8c7d6e5f40
  headrace dead replay 0b8a3f6e5d0c4f1e9f0a2b8c7d6e5f40
  headrace dead purge --older-than 12h --yes
"""
AN_ID = "0b8a3f6e5d0c4f1e9f0a2b8c7d6e5f40"


@click.group(epilog=EPILOG)
def dead() -> None:
    """Look at dead letters, replay or purge them.

    A dead letter is a job that Headrace gave up on: too many workers died while they ran it, no
    worker could read it, or its retries ran out.
    """


@dead.command("list", epilog="\b\nFor example:\n  headrace dead list --limit 100")
@api_options()
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="Newest dead letters to show.",
)
@json_option()
def list_(client: ApiClient, limit: int, as_json: bool) -> None:
    """List the newest dead letters, without their prompts."""
    from headrace.cli.dead_view import show_letters

    show_letters(client, limit, as_json)


@dead.command(epilog=f"\b\nFor example:\n  headrace dead show {AN_ID}")
@click.argument("job_id", metavar="ID")
@api_options()
@json_option()
def show(job_id: str, client: ApiClient, as_json: bool) -> None:
    """Show all that is known of one dead letter, but not its prompt."""
    from headrace.cli.dead_view import show_letter

    show_letter(client, job_id, as_json)


@dead.command(epilog=f"\b\nFor example:\n  headrace dead replay {AN_ID}")
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@api_options()
@click.option("--force", is_flag=True, help="A further job, even if there is a replay already.")
@json_option()
def replay(job_ids: tuple[str, ...], client: ApiClient, force: bool, as_json: bool) -> None:
    """Ask again what each dead letter asked, as a new job.

    A dead letter stays until it is purged. Replaying it again shows the job of the newest replay;
    with --force it makes a further job.
    """
    from headrace.cli.dead_view import replay_letters

    replay_letters(client, job_ids, force, as_json)


@dead.command(
    epilog=f"\b\nFor example:\n  headrace dead purge {AN_ID}\n  headrace dead purge --older-than 1h"
)
@click.argument("job_ids", metavar="[ID]...", nargs=-1)
@api_options()
@click.option("--all", "everything", is_flag=True, help="All dead letters.")
@click.option(
    "--older-than", "age_s", type=duration, help="Those that died so long ago: 90, 30m, 1h, 2d."
)
@yes_option()
@json_option()
def purge(
    job_ids: tuple[str, ...],
    client: ApiClient,
    everything: bool,
    age_s: float | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove dead letters for good, with their prompts.

    Asks before; a script says --yes.
    """
    from headrace.cli.dead_view import purge_letters, purge_old_letters

    if [bool(job_ids), everything, age_s is not None].count(True) != 1:
        raise click.UsageError("give either IDs, --all or --older-than")
    if job_ids:
        confirm(f"Purge {count_of(job_ids, 'dead letter', 'dead letters')} for good?", yes)
        purge_letters(client, job_ids, as_json)
    else:
        which = "all dead letters" if everything else "all dead letters of this age"
        confirm(f"Purge {which} for good?", yes)
        purge_old_letters(client, age_s or 0.0, as_json)
