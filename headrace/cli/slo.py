"""`headrace slo`: whether users are served as they were promised."""

from __future__ import annotations

import click

from headrace.cli.fleet_source import fleet_options, open_fleet

EPILOG = "\b\nFor example:\n  headrace slo\n  headrace slo --json"


@click.command(epilog=EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@fleet_options()
def slo(as_json: bool, **options: str | None) -> None:
    """Show availability, latency, error rate, throughput, the error budget and active alerts.

    Asks the API of --url, with a key of the scope `fleet:read`; else the deployment of REDIS_URL,
    or the `headrace up` that runs on the state folder.
    """
    from headrace.cli.slo_view import as_record, view
    from headrace.cli.terminal import console, show_json

    with open_fleet(options) as fleet:
        reading = fleet.slo()
    if as_json:
        show_json(as_record(reading))
    else:
        console().print(view(reading))
