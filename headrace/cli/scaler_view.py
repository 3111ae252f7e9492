"""Shows the state of the scaler, and its decisions."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import click
from rich.text import Text

from headrace.cli.record_view import local_time, show_record, table_of
from headrace.cli.terminal import console
from headrace.core.connection import Client
from headrace.core.decision_log import Record, decisions
from headrace.core.desired_fleet import Desired
from headrace.core.jobs import keys
from headrace.core.leadership import Leader, has_leader
from headrace.core.roster import Roster

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


def show_status(redis: Client, as_json: bool) -> None:
    show_record(_status(redis), as_json)


def show_log(redis: Client, limit: int, as_json: bool) -> None:
    records = decisions(redis, limit)
    if as_json:
        for record in records:
            click.echo(record.encode())
    elif records:
        console().print(table_of([_cells(record) for record in records], set(), console().width))
    else:
        console().print("no decisions yet")


def _status(redis: Client) -> dict[str, Any]:
    """What was never said is None, and not shown."""
    desired = Desired.decode(redis.hgetall(keys.FLEET))
    leader = Leader.decode(redis.hgetall(keys.SCALER)) if has_leader(redis) else None
    activities = Counter(worker.activity for worker in Roster(redis, ttl_s=1).workers())
    newest = decisions(redis, 1)
    return {
        "leader": leader.holder if leader else NO_LEADER,
        "mode": desired.mode,
        "desired": desired.size,
        "desired_at": desired.since or None,
        "fixed": desired.fixed,
        "starting": redis.hlen(keys.STARTING),
        **{name: activities[name] for name in ("ready", "draining", "drained")},
        "last_decision": _without_reading(newest[0]) if newest else None,
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
