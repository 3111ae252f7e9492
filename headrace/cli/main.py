"""The `headrace` command.

The command modules import what they run only when they run it: `headrace --help` stays quick.
"""

from __future__ import annotations

import sys

import click

from headrace.cli.capacity import capacity
from headrace.cli.dead import dead
from headrace.cli.health import health
from headrace.cli.jobs import jobs
from headrace.cli.keys import keys
from headrace.cli.loadtest import loadtest
from headrace.cli.model import model
from headrace.cli.priority import priority
from headrace.cli.purge import purge
from headrace.cli.repair import repair
from headrace.cli.scaler import scaler
from headrace.cli.settings import settings
from headrace.cli.slo import slo
from headrace.cli.submit import submit
from headrace.cli.top import top
from headrace.cli.up import up
from headrace.core.errors import HeadraceError
from headrace.core.standard_streams import lose_errors, open_standard_streams
from headrace.core.version import version

EPILOG = """\b
Start everything, then ask from another terminal:
  headrace up
  headrace submit "Why is the sky blue?"
"""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda context, _, asked: _print_version(context) if asked else None,
    help="Show the version and exit.",
)
def cli() -> None:
    """A durable inference queue for language models."""


for command in (
    *(
        up,
        submit,
        jobs,
        priority,
        purge,
        dead,
        keys,
        top,
        slo,
        scaler,
        loadtest,
        capacity,
        model,
        settings,
        health,
        repair,
    ),
):
    cli.add_command(command)


def main() -> None:
    """Runs the command; an error that Headrace raises on purpose is one line and status 1."""
    open_standard_streams()
    lose_errors()
    try:
        cli(prog_name="headrace")
    except HeadraceError as error:
        click.echo(f"headrace: {error}", err=True)
        sys.exit(1)


def _print_version(context: click.Context) -> None:
    click.echo(f"headrace {version()}")
    context.exit()
