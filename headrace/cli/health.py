"""`headrace health`: asks a part of a deployment how it is, as a container's health check does."""

from __future__ import annotations

import click

EPILOG = """\b
For example:
  headrace health api
  headrace health deployment --wait 300
"""


@click.command(epilog=EPILOG)
@click.argument("part", type=click.Choice(["api", "monitor", "worker", "scaler", "deployment"]))
@click.option(
    "--wait", "wait_s", type=click.FloatRange(0), default=0.0, help="Seconds to wait for it."
)
def health(part: str, wait_s: float) -> None:
    """Succeed if PART is well; where it is comes from the settings.

    `api` and `monitor` answer on this host; a `worker` of this host has told Redis so within
    HEADRACE_LEASE_S; a `scaler` leads, on whatever host; a `deployment` is ready once its API
    accepts and a worker is there.
    """
    from headrace.cli.health_check import require_health
    from headrace.core.clock import SystemClock
    from headrace.core.settings import load_settings

    require_health(part, load_settings(), wait_s, SystemClock())
