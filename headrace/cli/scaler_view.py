"""Shows the state of the scaler, and its decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click
from rich.text import Text

from headrace.cli.record_view import local_time, show_record, table_of
from headrace.cli.terminal import console
from headrace.core.connection import Client
from headrace.core.decision_log import Record
from headrace.core.desired_fleet import Desired
from headrace.core.leadership import has_leader
from headrace.core.readings.overview import Overview

NO_LEADER = "no scaler leads: start `headrace up`, beside a Redis of yours with --scaler-max N"


def show_mode(redis: Client, desired: Desired) -> None:
    texts = {
        "auto": "the policy decides",
        "fixed": f"the number of workers is fixed: {desired.fixed}",
        "paused": f"paused: the number of workers stays {desired.size}",
    }
    click.echo(texts[desired.mode])
    if not has_leader(redis):
        click.echo(NO_LEADER, err=True)


def show_status(overview: Overview, as_json: bool) -> None:
    show_record(_status(overview), as_json)


def show_log(records: Sequence[Record], as_json: bool) -> None:
    if as_json:
        for record in records:
            click.echo(record.encode())
    elif records:
        console().print(table_of([_cells(record) for record in records], set(), console().width))
    else:
        console().print("no decisions yet")


def _status(overview: Overview) -> dict[str, Any]:
    """Return what is known; what was never said is None, and not shown."""
    desired, leader = overview.fleet.desired, overview.leader
    activities = Counter(worker.activity for worker in overview.fleet.workers)
    return {
        "leader": leader.holder if leader else NO_LEADER,
        "mode": desired.mode,
        "desired": desired.size,
        "desired_at": desired.since or None,
        "fixed": desired.fixed,
        "starting": len(overview.starting),
        **{name: activities[name] for name in ("ready", "draining", "drained")},
        "last_decision": _without_reading(overview.decision) if overview.decision else None,
    }


def _without_reading(record: Record) -> dict[str, Any]:
    known = asdict(record)
    del known["reading"]
    known["noted_at"] = known.pop("at")
    return known


def _cells(record: Record) -> dict[str, Text]:
    return {
        "at": Text(local_time(record.at)),
        "wanted": Text("?" if record.wanted is None else str(record.wanted)),
        "workers": Text("as they are" if record.size is None else str(record.size)),
        "mode": Text(record.mode),
        "why": Text(" ".join([record.reason, *(f"[{flag}]" for flag in record.flags)])),
    }
