"""What stands in Redis of queue and fleet at one moment, before anybody judges it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.core.connection import Client
from headrace.core.desired_fleet import Desired
from headrace.core.jobs import backlog, keys, rq_adapter
from headrace.core.jobs.backlog import ANSWERS, Backlog
from headrace.core.roster import WorkerState
from headrace.core.types import CANARY_TENANT

RECENT_S = 60.0
MOST_RECENT = 500
"""As far back, and as many, as completions are looked at."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`starting` and `deaths` are Redis TIME by worker, `counts` those of `counters.py`.

    `latencies_s` are those of jobs that succeeded lately, from acceptance to stored result;
    `canaries` the monitor's own jobs that wait or run.
    """

    run_id: str
    uptime_s: float
    has_card: bool
    is_suspended: bool
    backlog: Backlog
    counts: Mapping[str, int]
    beats: Sequence[WorkerState]
    draining: frozenset[str]
    starting: Mapping[str, float]
    desired: Desired
    cold_starts_s: tuple[float, ...]
    deaths: Mapping[str, float]
    latencies_s: tuple[float, ...]
    canaries: int = 0


def take_snapshot(redis: Client) -> Snapshot:
    """Raises `redis.exceptions.RedisError`, or `ValueError` for what nobody of ours wrote."""
    with redis.pipeline(transaction=True) as pipeline:
        backlog.ask(pipeline)
        _ask_fleet(pipeline)
        answers = pipeline.execute()
    queue, fleet = answers[:ANSWERS], answers[ANSWERS:]
    seconds, _microseconds = queue[-1]
    with redis.pipeline(transaction=False) as pipeline:
        heads = backlog.ask_heads(pipeline, queue)
        pipeline.xrevrange(
            keys.COMPLETIONS, min=int((seconds - RECENT_S) * 1000), count=MOST_RECENT
        )
        for name in sorted(fleet[0]):
            pipeline.get(keys.worker(name.decode()))
        details = pipeline.execute()
    completions, *beats = details[heads:]
    return _snapshot(backlog.backlog_of(queue, details[:heads]), fleet, completions, beats)


def _ask_fleet(pipeline: Client) -> None:
    pipeline.smembers(keys.WORKERS)
    pipeline.smembers(keys.DRAINING)
    pipeline.hgetall(keys.STARTING)
    pipeline.hgetall(keys.FLEET)
    pipeline.hgetall(keys.COUNTS)
    pipeline.lrange(keys.COLD_STARTS, 0, -1)
    pipeline.zrange(keys.DEATHS, 0, -1, withscores=True)
    pipeline.hexists(keys.CARD, "hash")
    pipeline.exists(rq_adapter.SUSPENDED_KEY)
    pipeline.hlen(keys.unfinished(CANARY_TENANT))
    pipeline.info("server")


def _snapshot(
    queue: Backlog, fleet: Sequence[Any], completions: Sequence[Any], beats: Sequence[bytes | None]
) -> Snapshot:
    _names, draining, starting, desired, counts, cold_starts, deaths, *rest = fleet
    card, suspended, unfinished, server = rest
    return Snapshot(
        run_id=server["run_id"],
        uptime_s=float(server["uptime_in_seconds"]),
        has_card=bool(card),
        is_suspended=bool(suspended),
        backlog=queue,
        counts={field.decode(): int(count) for field, count in counts.items()},
        beats=[WorkerState.decode(beat) for beat in beats if beat is not None],
        draining=frozenset(name.decode() for name in draining),
        starting={name.decode(): float(at) for name, at in starting.items()},
        desired=Desired.decode(desired),
        cold_starts_s=tuple(map(float, cold_starts)),
        deaths={name.decode(): at for name, at in deaths},
        latencies_s=tuple(_latencies(completions)),
        canaries=max(0, unfinished - 1),  # their sum is a field as well
    )


def _latencies(completions: Sequence[Any]) -> list[float]:
    stamps = [
        fields[b"stamps"].split() for _id, fields in completions if fields[b"status"] == b"finished"
    ]
    return [float(committed) - float(accepted) for accepted, *_between, committed in stamps]
