"""`headrace top`: the whole deployment on one screen."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from headrace.cli.fleet_source import fleet_options, open_fleet

if TYPE_CHECKING:
    from headrace.cli.top_screen import Screen

EPILOG = """\b
For example:
  headrace top
  headrace top --interval 5
  headrace top --once | grep wait
  headrace top --json
  headrace top --url https://headrace.example --api-key hr_...
"""


@click.command(epilog=EPILOG)
@click.option(
    "--interval",
    type=click.FloatRange(0.1),
    default=1.0,
    show_default=True,
    help="Seconds from one look to the next.",
)
@click.option("--once", is_flag=True, help="Print one screen, and end; so it is behind a pipe.")
@click.option("--json", "as_json", is_flag=True, help="Print what one screen shows as JSON.")
@fleet_options()
def top(interval: float, once: bool, as_json: bool, **options: str | None) -> None:
    """Watch queue, latencies, workers and scaler. Ctrl-C ends it.

    Latencies and rates are of the last minute; what breaks the SLO is red. Asks the API of --url,
    with a key of the scope `fleet:read`; else the deployment of REDIS_URL, or the `headrace up`
    that runs on the state folder.
    """
    from headrace.cli.terminal import console, show_json
    from headrace.cli.top_screen import Screen
    from headrace.cli.top_view import as_record, view

    with open_fleet(options) as fleet:
        screen = Screen(fleet)
        if as_json:
            show_json(as_record(screen.read()))
        elif once or not sys.stdout.isatty():
            console().print(view(screen.read()))
        else:
            _watch(screen, interval)


def _watch(screen: Screen, interval: float) -> None:
    """The first look must succeed; from then on what is away is waited for."""
    from rich.live import Live

    from headrace.cli.terminal import console

    shown = screen.show()
    try:
        with Live(shown, console=console(), screen=True, auto_refresh=False) as live:
            while True:
                live.update(shown, refresh=True)
                time.sleep(interval)
                shown = screen.show()
    except KeyboardInterrupt:
        click.echo()
