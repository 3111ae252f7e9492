"""The steps of a job's life, as tests of the queue take them."""

from __future__ import annotations

from typing import Any

from rq.job import Job as RqJob
from rq.serializers import JSONSerializer

from headrace.core.connection import Client
from headrace.core.jobs.handover import Claim, Outcome, Publication
from headrace.core.jobs.job import Report
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import Room

ROOM = Room(slots=8, tokens=10_000)
RESULT = {"text": "done", "finish_reason": "stop", "usage": {}}


def claim_one(queue: JobQueue, worker: str = "worker-1") -> Claim:
    (claim,) = queue.claim(worker, ROOM).claims
    return claim


def publish(queue: JobQueue, claim: Claim, ids: list[int], count: int, text: str = "x") -> bool:
    (published,) = queue.publish([Publication(claim, count, ids, text, age_s=0.0)])
    return published


def succeed(queue: JobQueue, claim: Claim, **changes: Any) -> bool:
    usual = {"report": Report(), "count": 1, "result": RESULT, "reason": "stop"}
    outcome = Outcome(claim, **usual | changes)
    (finished,) = queue.finish("worker-1", [outcome])
    return finished.timings is not None


def rq_job(redis: Client, job_id: str = "job-1") -> RqJob:
    return RqJob.fetch(job_id, connection=redis, serializer=JSONSerializer)
