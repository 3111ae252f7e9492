"""Queue and workers at one moment, for people and for planning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.core.connection import Client
from headrace.core.desired_fleet import Desired
from headrace.core.jobs import keys
from headrace.core.jobs.backlog import Backlog, read_backlog
from headrace.core.roster import Roster, WorkerState
from headrace.core.settings import Settings
from headrace.core.step_sums import StepSums

FORGOTTEN_S = 3600.0
"""A worker that starts for longer was killed, and nobody has told."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """`desired` is None where no scaler ever said a number; the newest cold start is the first."""

    queue: Backlog
    workers: Sequence[WorkerState]
    starting: int
    desired: int | None
    cold_starts_s: tuple[float, ...]
    steps: StepSums


def read_fleet(redis: Client, settings: Settings) -> Fleet:
    """Raises `redis.exceptions.RedisError` when the server is away."""
    queue = read_backlog(redis)
    with redis.pipeline(transaction=False) as pipeline:
        pipeline.hvals(keys.STARTING)
        pipeline.hgetall(keys.FLEET)
        pipeline.lrange(keys.COLD_STARTS, 0, -1)
        pipeline.hgetall(keys.COUNTS)
        began, desired, cold_starts, counts = pipeline.execute()
    return Fleet(
        queue=queue,
        workers=Roster(redis, settings.lease_s).workers(),
        starting=sum(queue.at - float(at) < FORGOTTEN_S for at in began),
        desired=Desired.decode(desired).size,
        cold_starts_s=tuple(map(float, cold_starts)),
        steps=StepSums.of_counts({field.decode(): int(count) for field, count in counts.items()}),
    )
