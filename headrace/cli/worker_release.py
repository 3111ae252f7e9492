"""Gives the jobs of a dead worker back to the queue, without waiting for their leases to end."""

from __future__ import annotations

import structlog
from redis.exceptions import RedisError

from headrace.core.connection import Client
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.rq_adapter import registered_workers
from headrace.core.roster import Roster
from headrace.core.settings import Settings

log = structlog.get_logger()


class WorkerRelease:
    """Called with the name of a worker that has ended, however it did.

    Says whether a job killed it, which ran alone for that suspicion: that is no crash loop.
    """

    def __init__(self, redis: Client, settings: Settings) -> None:
        self._redis = redis
        self._leases = Leases(redis, settings)
        self._roster = Roster(redis, settings.lease_s)
        self._fleet = DesiredFleet(redis, settings)

    def __call__(self, worker: str) -> bool:
        try:
            swept = self._leases.take_back(worker)
            self._roster.leave(worker)
            self._fleet.bury(worker, is_blameless=bool(swept.dead))
        except RedisError as error:
            log.warning("jobs wait for their leases to end", worker=worker, error=str(error))
            return False
        swept.log()
        return bool(swept.dead)

    def release_all(self) -> None:
        """For a Redis whose workers have all died, as nobody else can reach it."""
        for worker in registered_workers(self._redis):
            self(worker)
