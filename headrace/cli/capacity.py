"""`headrace capacity`: how much load a deployment bears, and how many workers any load takes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from headrace.cli.loadtest import COUNT, SECONDS
from headrace.cli.setting_option import setting_options, settings_from
from headrace.cli.url_option import url_option

EPILOG = """\b
For example:
  headrace capacity
  headrace capacity --prompt-tokens 200 --max-tokens 64 --rates 5,20,100
  headrace capacity --json capacity.json --start-values start.json
\b
It sends load for some minutes, beyond what the deployment bears. Keep the number of workers
meanwhile (`headrace scaler fix N`). Exit status: 0 measured; 1 even little load misses the SLO, or
the workers changed; 2 wrong options; 3 no server, or one that shows no fleet; 130 Ctrl-C.
"""
SLO = ("slo_latency_s", "slo_tpot_s", "slo_objective")
SCALER = ("scaler_policy", "scaler_min", "scaler_max")


@click.command(epilog=EPILOG)
@url_option("A Headrace.")
@click.option("--model", help="Default: the first that the server names.")
@click.option(
    "--api-key",
    envvar=["HEADRACE_API_KEY", "OPENAI_API_KEY"],
    show_envvar=True,
    help="An administrator's, where the server is on another machine.",
)
@click.option("--prompt-tokens", type=COUNT, default=32, show_default=True, help="Of each prompt.")
@click.option("--max-tokens", type=COUNT, default=16, show_default=True, help="Longest answer.")
@click.option(
    "--duration", type=SECONDS, default=16.0, show_default=True, help="Seconds of each rate tried."
)
@click.option(
    "--warmup", type=click.FloatRange(0), default=3.0, show_default=True, help="Before each."
)
@click.option(
    "--precision",
    type=click.FloatRange(0.01, 0.5),
    default=0.05,
    show_default=True,
    help="How near the highest rate is to be found.",
)
@click.option(
    "--held-out",
    default="0.4,0.65,0.9",
    show_default=True,
    help="Shares of it on which the model is tried.",
)
@click.option(
    "--tries", type=COUNT, default=3, show_default=True, help="How often each of those is sent."
)
@click.option("--rates", help="Requests/s of the table.  [default: up to 8 times what was found]")
@click.option("--seed", type=int, default=0, show_default=True, help="Of prompts and arrivals.")
@setting_options(*SLO, *SCALER)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write a report.")
@click.option(
    "--start-values",
    "start_path",
    type=click.Path(path_type=Path),
    help="Write what HEADRACE_SCALER_START takes.",
)
@click.option("--no-progress", is_flag=True, help="One line a level instead of a moving one.")
def capacity(**options: Any) -> None:
    """Find the highest rate of requests whose answers keep the SLO, and plan workers with it.

    Measures a few levels, finds the rate by bisection, fits how long a step takes and how
    throughput grows with requests, and tries the model on rates that it has not seen.
    """
    from headrace.cli.capacity_run import run_capacity

    settings = settings_from({name: options.pop(name) for name in (*SLO, *SCALER)})
    sys.exit(run_capacity(settings, options))
