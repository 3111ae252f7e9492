"""A long queue of old jobs: many tenants, all priorities, two model cards."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from rich.progress import track

from bench.pairs import console
from bench.workload import CHUNK, make_request, submit_chunks
from headrace.core.connection import Client
from headrace.core.jobs import keys, rq_adapter
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import Priority, Request

AGE_S = 3600.0
TENANTS = 10
PROMPT_TOKENS, MOST_TOKENS = 128, 256
VOCABULARY = 49_152
"""Ids as a real tokenizer has them: their digits are most of a job's memory."""

OTHER_CARD = {"card_hash": "of-another-model", "model": "another"}
FOREIGN_BLOCK, FOREIGN_SHARE = 50, 0.1
"""One in this many jobs stands first and is of another card; of the rest, this share is."""

PRIORITIES = [Priority.DEFAULT] * 12 + [Priority.BATCH] * 7 + [Priority.INTERACTIVE]


def mixed(jobs: int) -> Iterator[Request]:
    """Shuffled tenants, priorities and costs; behind a block of another card's jobs."""
    draw = random.Random(0)
    for number in range(jobs):
        tenant = f"tenant-{draw.randrange(TENANTS)}"
        request = make_request(tenant, draw.randint(1, MOST_TOKENS))
        is_foreign = number < jobs // FOREIGN_BLOCK or draw.random() < FOREIGN_SHARE
        changes: dict[str, Any] = OTHER_CARD if is_foreign else {}
        prompt_ids = tuple(draw.choices(range(VOCABULARY), k=PROMPT_TOKENS))
        priority = draw.choice(PRIORITIES)
        yield replace(request, prompt_ids=prompt_ids, priority=priority, **changes)


def fill(queue: JobQueue, requests: Iterator[Request], jobs: int) -> None:
    """Submits them all, and makes each an hour old."""
    batch: list[Request] = []
    for request in track(requests, f"submitting {jobs}", jobs, console=console):
        batch.append(request)
        if len(batch) == 10 * CHUNK:
            _submit(queue, batch)
            batch = []
    _submit(queue, batch)


def _submit(queue: JobQueue, requests: Sequence[Request]) -> None:
    submit_chunks(queue, requests)
    make_old(queue.redis, [request.id for request in requests])


def make_old(redis: Client, job_ids: Sequence[str]) -> None:
    """As if they had been accepted an hour ago."""
    seconds, _microseconds = redis.time()
    accepted = seconds - AGE_S
    with redis.pipeline(transaction=False) as pipeline:
        for job_id in job_ids:
            pipeline.hset(rq_adapter.job_key(job_id), "hr_accepted", f"{accepted:.6f}")
            pipeline.zadd(keys.JOBS, {job_id: accepted})
            accepted += 1e-3
        pipeline.execute()
