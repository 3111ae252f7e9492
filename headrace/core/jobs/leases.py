"""Leases: a worker keeps its jobs by renewing them; anyone takes a silent worker's jobs back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from headrace.core.connection import Client
from headrace.core.jobs import rq_adapter
from headrace.core.jobs.handover import EXPIRED_ERROR, Claim
from headrace.core.settings import Settings
from headrace.core.types import JobState

log = structlog.get_logger()

DEAD_ERROR = rq_adapter.encode_exc_string("too many workers died while they ran this job")


@dataclass(frozen=True, slots=True)
class Swept:
    """Ids of jobs that wait again, that became dead letters, and that expired.

    `request_ids` are those of the HTTP requests which brought them, where known.
    """

    redelivered: list[str]
    dead: list[str]
    expired: list[str]
    request_ids: dict[str, str]

    def log(self) -> None:
        """One line a job, whoever swept."""
        for job_id in self.redelivered:
            log.warning("job redelivered: its worker died", **self._ids(job_id))
        for job_id in self.dead:
            ids = self._ids(job_id)
            log.error("request finished", **ids, state=JobState.FAILED, reason="dead")
        for job_id in self.expired:
            ids = self._ids(job_id)
            log.info("request finished", **ids, state=JobState.EXPIRED, reason="expired")

    def _ids(self, job_id: str) -> dict[str, str | None]:
        return {"job_id": job_id, "request_id": self.request_ids.get(job_id)}


class Leases:
    """Raises `redis.exceptions.RedisError` when the server is away; all calls may be repeated."""

    def __init__(self, redis: Client, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings
        self._renew = rq_adapter.load_script(redis, "renew", settings)
        self._sweep = rq_adapter.load_script(redis, "sweep", settings)
        self._drop = rq_adapter.load_script(redis, "drop", settings)
        self._recall = rq_adapter.load_script(redis, "recall", settings)
        self._pass_on = rq_adapter.load_script(redis, "pass_on", settings)
        self._release = rq_adapter.load_script(redis, "release", settings)

    def renew(self, claims: Sequence[Claim], client: Client = None) -> int:
        """Extends the leases still held; returns how many. `client` may be a pipeline."""
        return self._renew(  # type: ignore[no-any-return]
            args=[rq_adapter.timestamp(), *_ids(claims)],
            client=client,
        )

    def sweep(self) -> Swept:
        """Takes back every job whose lease ran out, and does what is due."""
        return self._take_back("")

    def sweep_due(self) -> Swept:
        """Does what is due, and leaves the leases alone; fails where no lease can be renewed."""
        return self._take_back("-")

    def take_back(self, worker: str) -> Swept:
        """Takes back every job of a worker that is known to be dead, without waiting."""
        swept = self._take_back(worker)
        rq_adapter.forget_worker(self._redis, worker)
        return swept

    def hand_back(self, worker: str) -> None:
        """Puts back every job of a worker that was asked to end; nobody died of any of them."""
        self.recall(worker, [])
        rq_adapter.forget_worker(self._redis, worker)

    def bury(self, worker: str) -> Swept:
        """Takes back every job of a worker that lives, and whose engine died of them."""
        return self._take_back(worker)

    def drop(self, worker: str, claims: Sequence[Claim]) -> None:
        """Forgets what the worker ran of jobs that are no longer its own."""
        self._drop(args=[worker, *_ids(claims)])

    def recall(self, worker: str, known: Sequence[Claim]) -> int:
        """Puts back what a claim whose answer got lost has given the worker; returns how many."""
        return int(self._recall(args=[worker, *(claim.execution_id for claim in known)]))

    def pass_on(self, claims: Sequence[Claim]) -> int:
        """Gives back jobs of other models' cards, which the next claim sets aside."""
        rows = (
            (claim.job_id, claim.execution_id, claim.request.card_hash, claim.request.model)
            for claim in claims
            if claim.request
        )
        return int(self._pass_on(args=[value for row in rows for value in row]))

    def release(self, claims: Sequence[Claim]) -> int:
        """Gives unfinished jobs back to the front of their queues; returns how many."""
        return int(self._release(args=["released", *_ids(claims)])) if claims else 0

    def preempt(self, claims: Sequence[Claim]) -> int:
        """Does the same for jobs that make room for interactive work; the last one goes first."""
        return int(self._release(args=["preempted", *_ids(claims)]))

    def _take_back(self, worker: str) -> Swept:
        redelivered, dead, expired, has_dependents = self._sweep(
            args=[
                worker,
                self._settings.max_deaths,
                rq_adapter.timestamp(),
                DEAD_ERROR,
                EXPIRED_ERROR,
            ],
        )
        if has_dependents:
            rq_adapter.enqueue_dependents(self._redis)
        kinds = (redelivered, dead, expired)
        redelivered, dead, expired = ([job_id.decode() for job_id in ids] for ids in kinds)
        request_ids = rq_adapter.request_ids(self._redis, [*redelivered, *dead, *expired])
        return Swept(redelivered, dead, expired, request_ids)


def _ids(claims: Sequence[Claim]) -> list[str]:
    return [value for claim in claims for value in (claim.job_id, claim.execution_id)]
