"""How long the jobs of a dead or stopped worker waited until somebody else claimed them."""

from __future__ import annotations

from collections.abc import Iterable

from rq.utils import utcparse

from headrace.core.connection import Client
from headrace.core.jobs import rq_adapter
from tests.chaos.patience import until

PATIENCE_S = 30.0


def takeovers(redis: Client, jobs: Iterable[str], since: float) -> list[float]:
    """Seconds from `since` (since the epoch) to the claim of each job; waits for all of them."""
    claims = []
    for job_id in jobs:
        until(
            f"{job_id} is claimed again",
            lambda job_id=job_id: _claimed_at(redis, job_id) > since,
            PATIENCE_S,
        )
        claims.append(_claimed_at(redis, job_id) - since)
    return claims


def _claimed_at(redis: Client, job_id: str) -> float:
    """RQ's stamp of the newest claim; 0 while the job waits."""
    stamp = redis.hget(rq_adapter.job_key(job_id), "started_at")
    return utcparse(stamp.decode()).timestamp() if stamp else 0.0
