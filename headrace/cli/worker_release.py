"""Gives the jobs of a dead worker back to the queue, without waiting for their leases to end."""

from __future__ import annotations

import structlog
from redis.exceptions import RedisError

from headrace.core.connection import Client
from headrace.core.jobs.leases import Leases
from headrace.core.roster import Roster
from headrace.core.settings import Settings

log = structlog.get_logger()


class WorkerRelease:
    """Called with the name of a worker that has ended, however it did."""

    def __init__(self, redis: Client, settings: Settings) -> None:
        self._leases = Leases(redis, settings)
        self._roster = Roster(redis, settings.lease_s)

    def __call__(self, worker: str) -> None:
        try:
            swept = self._leases.take_back(worker)
            self._roster.leave(worker)
        except RedisError as error:
            log.warning("jobs wait for their leases to end", worker=worker, error=str(error))
        else:
            log.info(
                "jobs put back", worker=worker, jobs=len(swept.redelivered), dead=len(swept.dead)
            )
