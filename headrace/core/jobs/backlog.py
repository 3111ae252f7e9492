"""How much work the queue holds, read at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.core.connection import Client
from headrace.core.jobs import keys, rq_adapter


@dataclass(frozen=True, slots=True)
class Backlog:
    """Jobs by state, those that wait for a retry among the waiting.

    `oldest_s` is the age of the oldest waiting one, 0 where none waits.
    """

    waiting: int
    running: int
    dead: int
    oldest_s: float


def read_backlog(redis: Client) -> Backlog:
    """Raises `redis.exceptions.RedisError` when the server is away."""
    with redis.pipeline(transaction=True) as pipeline:
        for name in keys.QUEUE_NAMES.values():
            pipeline.llen(rq_adapter.queue_key(name))
            pipeline.zcard(rq_adapter.registry_key("scheduled", name))
            pipeline.lindex(rq_adapter.queue_key(name), 0)
        pipeline.zcard(keys.LEASES)
        pipeline.zcard(keys.DEAD)
        pipeline.time()
        *queues, running, dead, (seconds, microseconds) = pipeline.execute()
    heads = [head.decode() for head in queues[2::3] if head is not None]
    return Backlog(
        waiting=sum(queues[::3]) + sum(queues[1::3]),
        running=running,
        dead=dead,
        oldest_s=_oldest_s(redis, heads, seconds + microseconds / 1e6),
    )


def _oldest_s(redis: Client, job_ids: list[str], now: float) -> float:
    """The head of a queue is its oldest job: one that is redelivered returns to the front.

    Not counted is one that stands at an end by a retry or a change of priority.
    """
    with redis.pipeline(transaction=False) as pipeline:
        for job_id in job_ids:
            pipeline.hmget(rq_adapter.job_key(job_id), "hr_accepted", "hr_committed")
        stamps = pipeline.execute()
    # One that ended before was brought back by `rq requeue`: its new life begins at its claim.
    ages = (now - float(accepted) for accepted, ended in stamps if accepted and not ended)
    return max(ages, default=0.0)
