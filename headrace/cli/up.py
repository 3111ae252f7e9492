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
    """Start Redis, the API, the workers, a scaler and a monitor here, and keep them alive.

    The scaler keeps --workers, or what `headrace scaler fix` says; with --scaler-max as many as the
    load asks for, from --workers on.

    Prints `ready http://HOST:PORT` once prompts can be answered. Ctrl-C finishes the running
    jobs, then stops; a second Ctrl-C gives them back to the queue. With REDIS_URL set, that Redis
    is used instead of an embedded one, and there is a scaler only with --scaler-max.
    """
    from headrace.cli.deployment import run_deployment

    run_deployment(settings_from(options))
