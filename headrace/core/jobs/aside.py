"""Jobs that are set aside: they were tokenised for another model card than the worker's.

`scripts/claim.lua` takes them out of the queues; a worker of their card claims them from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.jobs.pace import Place

NO_WORKER = "no worker runs this model"
OTHER_CARD = (
    "no worker runs this model with the tokenizer, chat template and context length "
    "that the job was tokenised for"
)


@dataclass(frozen=True, slots=True)
class WaitingFor:
    """The model whose worker a job waits for, and why it does."""

    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A waiting job has a `place`, or is `waiting_for` a worker of its card."""

    place: Place | None = None
    waiting_for: WaitingFor | None = None


def count_aside(redis: Client) -> int:
    """Returns how many jobs are set aside, whatever their card."""
    names = [name for card in redis.hkeys(keys.ASIDE) for name in _names(card.decode())]
    with redis.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.zcard(keys.fair(name))
        return sum(pipeline.execute()) if names else 0


def find_aside(
    redis: Client,
    jobs: Mapping[str, Mapping[bytes, bytes]],
    running: int,
    is_full: bool,
    share: float,
) -> dict[str, Standing]:
    """Returns where those of the jobs stand that are set aside. `jobs` are hashes by their ids.

    The rest is as in `Place.of`.
    """
    if not jobs:
        return {}
    with redis.pipeline(transaction=True) as pipeline:
        pipeline.hget(keys.CARD, "name")
        for job_id, fields in jobs.items():
            card_hash = fields[b"hr_card"].decode()
            pipeline.exists(keys.serving(card_hash))
            for name in _names(card_hash):
                pipeline.zrank(keys.fair(name), job_id)
                pipeline.zcard(keys.fair(name))
                pipeline.hget(keys.share(name), "tokens")
        current, *answers = pipeline.execute()
    width = 1 + 3 * len(keys.QUEUE_NAMES)
    standings = {}
    for number, (job_id, fields) in enumerate(jobs.items()):
        is_served, *orders = answers[number * width : (number + 1) * width]
        place = _place(orders, running, is_full, share)
        if place is not None:
            model = fields.get(b"hr_model", b"")
            waiting_for = WaitingFor(model.decode(), OTHER_CARD if model == current else NO_WORKER)
            standings[job_id] = Standing(place) if is_served else Standing(None, waiting_for)
    return standings


def _place(orders: list[Any], running: int, is_full: bool, share: float) -> Place | None:
    waiting = [
        (jobs, float(tokens or 0)) for jobs, tokens in zip(orders[1::3], orders[2::3], strict=True)
    ]
    return Place.of(orders[::3], waiting, running, is_full, share)


def _names(card_hash: str) -> list[str]:
    return [keys.aside(queue, card_hash) for queue in keys.QUEUE_NAMES.values()]
