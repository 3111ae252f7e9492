"""How much work the queue holds, read at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headrace.core.connection import Client
from headrace.core.jobs import keys, rq_adapter

ANSWERS = 4 * len(keys.QUEUE_NAMES) + 3


@dataclass(frozen=True, slots=True)
class Backlog:
    """Jobs by state `at` a moment, Redis TIME; those that wait for a retry are among the waiting.

    `waiting_tokens` are what the waiting ones count for (`Request.cost_tokens`), but for retries;
    `oldest_s` is the age of the oldest waiting one, 0 where none waits.
    """

    waiting: int
    running: int
    dead: int
    oldest_s: float
    waiting_tokens: float
    at: float


def read_backlog(redis: Client) -> Backlog:
    """Raises `redis.exceptions.RedisError` when the server is away."""
    with redis.pipeline(transaction=True) as pipeline:
        ask(pipeline)
        answers = pipeline.execute()
    with redis.pipeline(transaction=False) as pipeline:
        ask_heads(pipeline, answers)
        return backlog_of(answers, pipeline.execute())


def ask(pipeline: Client) -> None:
    """Asks for what `backlog_of` wants first, in `ANSWERS` answers."""
    for name in keys.QUEUE_NAMES.values():
        pipeline.llen(rq_adapter.queue_key(name))
        pipeline.zcard(rq_adapter.registry_key("scheduled", name))
        pipeline.lindex(rq_adapter.queue_key(name), 0)
        pipeline.hget(keys.share(name), "tokens")
    pipeline.zcard(keys.LEASES)
    pipeline.zcard(keys.DEAD)
    pipeline.time()


def ask_heads(pipeline: Client, answers: Sequence[Any]) -> int:
    """Asks for the heads of the queues that these answers name; returns in how many answers."""
    heads = [head for head in answers[2:-3:4] if head is not None]
    for head in heads:
        pipeline.hmget(rq_adapter.job_key(head.decode()), "hr_accepted", "hr_committed")
    return len(heads)


def backlog_of(answers: Sequence[Any], heads: Sequence[Any]) -> Backlog:
    """Of both kinds of answers. Raises `ValueError` where they hold what nobody of ours wrote."""
    *queues, running, dead, (seconds, microseconds) = answers
    now = seconds + microseconds / 1e6
    return Backlog(
        waiting=sum(queues[::4]) + sum(queues[1::4]),
        running=running,
        dead=dead,
        oldest_s=_oldest_s(heads, now),
        waiting_tokens=sum(float(tokens or 0) for tokens in queues[3::4]),
        at=now,
    )


def _oldest_s(heads: Sequence[Any], now: float) -> float:
    """The head of a queue is its oldest job: one that is redelivered returns to the front.

    Not counted is one that stands at an end by a retry or a change of priority.
    """
    # One that ended before was brought back by `rq requeue`: its new life begins at its claim.
    ages = (now - float(accepted) for accepted, ended in heads if accepted and not ended)
    return max(ages, default=0.0)
