"""`headrace slo`: whether users are served as they were promised."""

from __future__ import annotations

import click

from headrace.cli.setting_option import setting_options, settings_from

EPILOG = "\b\nFor example:\n  headrace slo\n  headrace slo --json"


@click.command(epilog=EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@setting_options("redis_url", "state_dir")
def slo(as_json: bool, **options: str | None) -> None:
    """Show availability, latency, error rate, throughput, the error budget and active alerts.

    Speaks to the deployment of REDIS_URL, or to the `headrace up` that runs on the state folder.
    """
    from headrace.cli.deployment_redis import open_redis
    from headrace.cli.slo_view import as_record, view
    from headrace.cli.terminal import console, show_json
    from headrace.core.readings.slo import read

    settings = settings_from(options)
    with open_redis(settings) as redis:
        reading = read(redis, settings)
    if as_json:
        show_json(as_record(reading))
    else:
        console().print(view(reading))
