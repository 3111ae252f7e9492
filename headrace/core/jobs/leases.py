"""Leases: a worker keeps its jobs by renewing them; anyone takes a silent worker's jobs back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from headrace.core.connection import Client
from headrace.core.jobs import keys, rq_adapter
from headrace.core.jobs.handover import Claim
from headrace.core.settings import Settings
from headrace.core.types import JobState

log = structlog.get_logger()

DEAD_ERROR = rq_adapter.encode_exc_string("too many workers died while they ran this job")


@dataclass(frozen=True, slots=True)
class Swept:
    """Ids of jobs that wait again, and of those that died too often and were failed."""

    redelivered: list[str]
    dead: list[str]

    def log(self) -> None:
        """One line a job, whoever swept."""
        for job_id in self.redelivered:
            log.warning("job redelivered: its worker died", job_id=job_id)
        for job_id in self.dead:
            log.error("request finished", job_id=job_id, state=JobState.FAILED, reason="dead")


class Leases:
    """Raises `redis.exceptions.RedisError` when the server is away; all calls may be repeated."""

    def __init__(self, redis: Client, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings
        self._renew = rq_adapter.load_script(redis, "renew", settings)
        self._sweep = rq_adapter.load_script(redis, "sweep", settings)
        self._release = rq_adapter.load_script(redis, "release", settings)

    def renew(self, claims: Sequence[Claim]) -> int:
        """Extends the leases still held; returns how many."""
        renewed = self._renew(
            keys=[keys.LEASES],
            args=[
                self._settings.lease_s,
                self._settings.job_timeout_s + rq_adapter.HEARTBEAT_GRACE_S,
                rq_adapter.timestamp(),
                *_ids(claims),
            ],
        )
        return int(renewed)

    def sweep(self) -> Swept:
        """Takes back every job whose lease ran out."""
        return self._take_back("")

    def take_back(self, worker: str) -> Swept:
        """Takes back every job of a worker that is known to be dead, without waiting."""
        swept = self._take_back(worker)
        rq_adapter.forget_worker(self._redis, worker)
        return swept

    def release(self, claims: Sequence[Claim]) -> int:
        """Gives unfinished jobs back to the front of their queues; returns how many."""
        return int(self._release(args=_ids(claims))) if claims else 0

    def _take_back(self, worker: str) -> Swept:
        redelivered, dead = self._sweep(
            keys=[keys.LEASES],
            args=[
                worker,
                self._settings.max_deaths,
                rq_adapter.timestamp(),
                DEAD_ERROR,
                self._settings.result_ttl_s,
                self._settings.completion_log_max,
                *keys.QUEUE_NAMES.values(),
            ],
        )
        return Swept([i.decode() for i in redelivered], [i.decode() for i in dead])


def _ids(claims: Sequence[Claim]) -> list[str]:
    return [value for claim in claims for value in (claim.job_id, claim.execution_id)]
