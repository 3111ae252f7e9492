"""`headrace scaler`: how many workers there are, and who says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headrace.cli.duration import duration
from headrace.cli.fleet_source import fleet_options, open_fleet
from headrace.cli.setting_option import setting_options, settings_from

if TYPE_CHECKING:
    from headrace.core.desired_fleet import DesiredFleet
    from scaler.rules import PolicyName

EPILOG = """\b
For example:
  headrace scaler --dry-run --once
  headrace scaler status
  headrace scaler fix 3
"""
REPLAY_EPILOG = """\b
For example:
  headrace scaler replay --since 2h
  headrace scaler replay --policy backlog-slo --scaler-max 8 --speed 2
  headrace scaler replay loadtest.json --slo-latency-s 2
"""
MOST_WORKERS = 64
POLICIES: tuple[PolicyName, ...] = ("backlog-slo", "queue-depth", "latency")
POSITIVE = click.FloatRange(0, min_open=True)


@click.group(epilog=EPILOG, invoke_without_command=True)
@click.option("--dry-run", is_flag=True, help="Show decisions as JSON lines; change nothing.")
@click.option("--once", is_flag=True, help="With --dry-run: show one decision, and end.")
@setting_options("redis_url", "state_dir", "scaler_min", "scaler_max", "scaler_policy")
@setting_options("scaler_fleet", "scaler_compose_project")
def scaler(dry_run: bool, once: bool, **options: str | None) -> None:
    """Keep the right number of workers: without a command, here and until Ctrl-C.

    `headrace up` runs a scaler already (beside a Redis of yours with --scaler-max); of several
    one acts. The commands speak to the deployment of REDIS_URL, or to the `headrace up` that runs
    on the state folder.
    """
    if click.get_current_context().invoked_subcommand is not None:
        return
    if once and not dry_run:
        raise click.UsageError("--once goes with --dry-run")
    settings = settings_from(options)

    from headrace.cli.deployment_redis import open_redis, redis_url_of
    from headrace.core.telemetry import configure_logging
    from scaler.__main__ import serve, watch

    configure_logging(settings, "scaler")
    settings = settings.model_copy(update={"redis_url": redis_url_of(settings)})
    with open_redis(settings) as redis:
        redis.ping()
        if dry_run:
            watch(settings, click.echo, once)
        else:
            serve(settings)


@scaler.command(epilog="\b\nFor example:\n  headrace scaler status --json")
@fleet_options()
@click.option("--json", "as_json", is_flag=True, help="Print all that is known.")
def status(as_json: bool, **options: str | None) -> None:
    """Show who leads, how many workers are wanted, how many there are, and why."""
    from headrace.cli.scaler_view import show_status

    with open_fleet(options) as fleet:
        show_status(fleet.overview(), as_json)


@scaler.command(epilog="\b\nFor example:\n  headrace scaler log --limit 50")
@click.option("--limit", type=click.IntRange(1, 5000), default=20, show_default=True)
@fleet_options()
@click.option("--json", "as_json", is_flag=True, help="Print each decision and what was read.")
def log(limit: int, as_json: bool, **options: str | None) -> None:
    """List the newest decisions: what was wanted, what was done, and why."""
    from headrace.cli.scaler_view import show_log

    with open_fleet(options) as fleet:
        show_log(fleet.decisions(limit), as_json)


@scaler.command(epilog="\b\nFor example:\n  headrace scaler pause")
@setting_options("redis_url", "state_dir")
def pause(**options: str | None) -> None:
    """Leave the number of workers as it is, until `resume`."""
    with _fleet(options) as fleet:
        fleet.pause()


@scaler.command(epilog="\b\nFor example:\n  headrace scaler resume")
@setting_options("redis_url", "state_dir")
def resume(**options: str | None) -> None:
    """Take `pause` back."""
    with _fleet(options) as fleet:
        fleet.resume()


@scaler.command(epilog="\b\nFor example:\n  headrace scaler fix 3")
@click.argument("size", metavar="N", type=click.IntRange(0, MOST_WORKERS))
@setting_options("redis_url", "state_dir")
def fix(size: int, **options: str | None) -> None:
    """Keep N workers, even beyond --scaler-max, until `auto`; who is too many ends once idle."""
    with _fleet(options) as fleet:
        fleet.fix(size)


@scaler.command(epilog="\b\nFor example:\n  headrace scaler auto")
@setting_options("redis_url", "state_dir")
def auto(**options: str | None) -> None:
    """Let the policy decide again: takes `fix` and `pause` back."""
    with _fleet(options) as fleet:
        fleet.auto()


@scaler.command(epilog=REPLAY_EPILOG)
@click.argument("report", required=False, type=click.Path(path_type=Path))
@click.option("--since", type=duration, help="Of the log, jobs of the last 90 (s), 30m, 1h or 2d.")
@click.option(
    "--policy",
    "policies",
    multiple=True,
    type=click.Choice(POLICIES),
    help="May be repeated.  [default: all of them]",
)
@setting_options("scaler_min", "scaler_max", "scaler_window_s", "scaler_tick_s")
@setting_options("slo_latency_s", "slo_tpot_s", "redis_url", "state_dir")
@click.option("--cold-start-s", type=POSITIVE, help="Of every new worker.  [default: as measured]")
@click.option("--speed", type=POSITIVE, default=1.0, show_default=True, help="Of the load.")
@click.option("--json", "as_json", is_flag=True, help="Print what came of each.")
def replay(
    report: Path | None,
    since: float | None,
    policies: tuple[PolicyName, ...],
    cold_start_s: float | None,
    speed: float,
    as_json: bool,
    **options: str | None,
) -> None:
    """Ask what another policy, or other settings, would have made of a load that once came.

    REPORT is the JSON of a `headrace loadtest`; without it, the load is that of the deployment's
    completion log. It runs through a simulated fleet whose workers are as fast as those that were
    measured; what really happened stands beside it. Nothing is sent, and nothing changes.
    """
    from headrace.cli.replay import Question, show_replay

    question = Question(policies or POLICIES, cold_start_s, speed, as_json)
    show_replay(settings_from(options), report, since, question)


@contextmanager
def _fleet(options: dict[str, str | None]) -> Iterator[DesiredFleet]:
    """Says what stands afterwards, and where no scaler is there to follow it."""
    from headrace.cli.deployment_redis import open_redis
    from headrace.cli.scaler_view import show_mode
    from headrace.core.desired_fleet import DesiredFleet

    settings = settings_from(options)
    with open_redis(settings) as redis:
        fleet = DesiredFleet(redis, settings)
        yield fleet
        show_mode(redis, fleet.read())
