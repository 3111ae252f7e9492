"""How much work the queue holds, read at one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headrace.core.connection import Client
from headrace.core.jobs import keys, rq_adapter

LAST_ANSWERS = 5
ANSWERS = 4 * len(keys.QUEUE_NAMES) + LAST_ANSWERS


@dataclass(frozen=True, slots=True)
class Backlog:
    """Jobs by state `at` a moment, Redis TIME; those that wait for a retry are among the waiting.

    `waiting_tokens` are what the waiting ones count for (`Request.charged_tokens`), but for
    retries; `oldest_s` is the age of the oldest waiting one, 0 where none waits. Jobs that were set
    aside for the card of the deployment are among the waiting. `set_aside` counts those for other
    cards by their models: more workers of this deployment could not run them.
    """

    waiting: int
    running: int
    dead: int
    oldest_s: float
    waiting_tokens: float
    at: float
    set_aside: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Aside:
    """Jobs of one card in one queue's order; `accepted` is the time of the oldest, Redis TIME."""

    model: str
    is_current: bool
    jobs: int
    tokens: float
    accepted: float | None


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
    pipeline.hgetall(keys.ASIDE)
    pipeline.hget(keys.CARD, "hash")
    pipeline.time()


def ask_heads(pipeline: Client, answers: Sequence[Any]) -> int:
    """Asks about the heads of the queues and the jobs set aside; returns in how many answers."""
    heads, cards = _heads(answers), answers[-3]
    for head in heads:
        pipeline.hmget(rq_adapter.job_key(head.decode()), "hr_accepted", "hr_committed")
    for card in cards:
        for queue in keys.QUEUE_NAMES.values():
            name = keys.aside(queue, card.decode())
            pipeline.zcard(keys.fair(name))
            pipeline.hget(keys.share(name), "tokens")
            pipeline.zrange(keys.line(name), 0, 0, withscores=True)
    return len(heads) + 3 * len(keys.QUEUE_NAMES) * len(cards)


def backlog_of(answers: Sequence[Any], details: Sequence[Any]) -> Backlog:
    """Reads both kinds of answers. Raises `ValueError` where they hold what we never write."""
    *queues, running, dead, cards, current, (seconds, microseconds) = answers
    now, count = seconds + microseconds / 1e6, len(_heads(answers))
    aside = list(_aside(cards, current, details[count:]))
    own = [order for order in aside if order.is_current]
    oldest = [now - order.accepted for order in own if order.accepted is not None]
    return Backlog(
        waiting=sum(queues[::4]) + sum(queues[1::4]) + sum(order.jobs for order in own),
        running=running,
        dead=dead,
        oldest_s=max(_oldest_s(details[:count], now), *oldest, 0.0),
        waiting_tokens=sum(float(tokens or 0) for tokens in queues[3::4])
        + sum(order.tokens for order in own),
        at=now,
        set_aside=_by_model(order for order in aside if not order.is_current),
    )


def _heads(answers: Sequence[Any]) -> list[bytes]:
    return [head for head in answers[2:-LAST_ANSWERS:4] if head is not None]


def _aside(
    cards: Mapping[bytes, bytes], current: bytes | None, answers: Sequence[Any]
) -> Iterator[_Aside]:
    """Reads the answers about each card and queue, in the order in which they were asked for."""
    each = [card for card in cards for _queue in keys.QUEUE_NAMES]
    for card, jobs, tokens, first in zip(each, *(answers[i::3] for i in range(3)), strict=True):
        accepted = first[0][1] if first else None
        yield _Aside(cards[card].decode(), card == current, jobs, float(tokens or 0), accepted)


def _by_model(orders: Iterable[_Aside]) -> dict[str, int]:
    jobs: Counter[str] = Counter()
    for order in orders:
        jobs[order.model] += order.jobs
    return {model: count for model, count in jobs.items() if count}


def _oldest_s(heads: Sequence[Any], now: float) -> float:
    """The head of a queue is its oldest job: one that is redelivered returns to the front.

    Not counted is one that stands at an end by a retry or a change of priority.
    """
    # One that ended before was brought back by `rq requeue`: its new life begins at its claim.
    ages = (now - float(accepted) for accepted, ended in heads if accepted and not ended)
    return max(ages, default=0.0)
