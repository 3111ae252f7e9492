"""The steps of a job's life, as tests of the queue take them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rq.job import Job as RqJob
from rq.serializers import JSONSerializer

from headrace.core.connection import Client
from headrace.core.jobs.handover import Claim, Outcome, Publication
from headrace.core.jobs.job import Report
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import Request, Room

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


def bury(queue: JobQueue, request: Request, reason: str = "dead", error: str = "broken") -> None:
    """Makes a dead letter of a new job."""
    queue.submit(request)
    succeed(queue, claim_one(queue), result=None, reason=reason, error=error, is_dead=True)


def everything(redis: Client) -> dict[bytes, bytes]:
    """Every key of the server, and all that is stored under it in one piece."""
    return {key: b"\n".join(_values(redis, key)) for key in redis.scan_iter()}


def _values(redis: Client, key: bytes) -> Iterator[bytes]:
    match redis.type(key):
        case b"string":
            yield redis.get(key)
        case b"hash":
            yield from (part for item in redis.hgetall(key).items() for part in item)
        case b"list":
            yield from redis.lrange(key, 0, -1)
        case b"set":
            yield from redis.smembers(key)
        case b"zset":
            yield from redis.zrange(key, 0, -1)
        case b"stream":
            entries = (fields.items() for _place, fields in redis.xrange(key))
            yield from (part for entry in entries for item in entry for part in item)
        case kind:
            raise AssertionError(f"{key!r} is of a kind that nobody looks into: {kind!r}")
