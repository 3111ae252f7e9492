"""Gives the jobs of an ended worker back to the queue, without waiting for their leases to end."""

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
    """Called with the name of a worker that has died.

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

    def without_blame(self, worker: str) -> None:
        """Does the same for a worker that was asked to end: its jobs are charged with no death."""
        try:
            self._leases.hand_back(worker)
            self._roster.leave(worker)
            self._fleet.bury(worker, is_blameless=True)
        except RedisError as error:
            log.warning("jobs wait for their leases to end", worker=worker, error=str(error))

    def release_all(self, *, on_purpose: bool) -> None:
        """Releases the workers of a Redis that nobody else can reach: they all have ended."""
        release = self.without_blame if on_purpose else self
        for worker in registered_workers(self._redis):
            release(worker)
