"""The fleet as the monitor reads it: what waits and runs, who works, what was counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace.core.connection import Client
from headrace.core.desired_fleet import Desired, DesiredFleet
from headrace.core.jobs.backlog import Backlog, read_backlog
from headrace.core.jobs.counters import Counters
from headrace.core.roster import Roster, WorkerState
from headrace.core.settings import Settings


@dataclass(frozen=True, slots=True)
class FleetReading:
    """One moment; `counts` are those of `headrace/core/jobs/counters.py`."""

    backlog: Backlog
    workers: Sequence[WorkerState]
    counts: Mapping[str, int]
    desired: Desired


class Fleet:
    def __init__(self, redis: Client, settings: Settings) -> None:
        self._redis = redis
        self._roster = Roster(redis, settings.lease_s)
        self._counters = Counters(redis, settings)
        self._desired = DesiredFleet(redis, settings)

    def read(self) -> FleetReading:
        """Raises `redis.exceptions.RedisError` when the server is away."""
        return FleetReading(
            backlog=read_backlog(self._redis),
            workers=self._roster.workers(),
            counts=self._counters.read(),
            desired=self._desired.read(),
        )
