"""`headrace up`: Redis, the API and the workers of one machine, under one supervisor."""

from __future__ import annotations

import click

from headrace.cli.setting_option import setting_options, settings_from

EPILOG = """\b
For example:
  headrace up
  headrace up --port 9000 --workers 2 --model ./my-model
  headrace up --scaler-max 4
"""


@click.command(epilog=EPILOG)
@setting_options("host", "port", "monitor_port", "state_dir", "model", "engine", "dtype")
@setting_options("workers", "scaler_min", "scaler_max")
def up(**options: str | None) -> None:
    """Start Redis, the API, the workers and a monitor here, and keep them alive.

    With --scaler-max a scaler as well: it keeps the right number of workers, from --workers on.

    Prints `ready http://HOST:PORT` once prompts can be answered. Ctrl-C finishes the running
    jobs, then stops; a second Ctrl-C gives them back to the queue. With REDIS_URL set, that Redis
    is used instead of an embedded one.
    """
    from headrace.cli.deployment import run_deployment

    run_deployment(settings_from(options))
