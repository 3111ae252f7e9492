"""How many engine steps an interactive job waits for its first token, behind a backlog or none."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.progress import track

from bench.long_queue import fill
from bench.pairs import console
from bench.server import Server
from bench.worker_process import WorkerProcess
from bench.workload import PROMPT_TOKENS, roomy_settings
from headrace.core.card_store import CardStore
from headrace.core.jobs.job import Job
from headrace.core.jobs.queue import JobQueue
from headrace.core.model_card import ModelCard
from headrace.core.types import Priority, Request, Sampling
from headrace.loadtest.quantiles import percentile

STEP_S = 0.03
"""Seconds of each step, however many rows it has: so steps follow from seconds."""

LAW = {
    "HEADRACE_ENGINE": "simulated",
    "HEADRACE_SIMULATED_ALPHA_S": str(STEP_S),
    "HEADRACE_SIMULATED_BETA_S": "0",
    "HEADRACE_SIMULATED_GAMMA_S": "0",
}
LONG_TOKENS, SHORT_TOKENS = 1500, 8
THINK_S = (0.1, 0.3)
PATIENCE_S, LOOK_S = 60.0, 0.01


def measure(server: Server, folder: Path, jobs: int, samples: int) -> dict[str, Any]:
    """Returns steps to the first token on an empty queue, and behind `jobs` default jobs."""
    queue = JobQueue(server.client(), roomy_settings())
    with WorkerProcess(server, folder, **LAW):
        card = CardStore(queue.redis).current()
        empty = _steps(queue, card, "empty", samples)
        fill(queue, _long_jobs(card, jobs), jobs)
        _wait_until_full(queue)
        backlog = _steps(queue, card, "backlog", samples)
    return {
        "first_token_steps": {"empty": _spread(empty), "backlog": _spread(backlog)},
        "first_token_steps_more_p50": round(_median(backlog) - _median(empty), 3),
        "first_token_steps_more_p95": round(
            percentile(sorted(backlog), 95) - percentile(sorted(empty), 95), 3
        ),
        "step_s": STEP_S,
    }


def _long_jobs(card: ModelCard, jobs: int) -> Iterator[Request]:
    for number in range(jobs):
        yield _request(card, f"long-{number}", Priority.DEFAULT, LONG_TOKENS)


def _request(card: ModelCard, job_id: str, priority: Priority, tokens: int) -> Request:
    rules = Sampling(max_tokens=tokens, temperature=0.0)
    request = Request(job_id, card.name, card.hash, tuple(range(PROMPT_TOKENS)), rules)
    return replace(request, priority=priority)


def _wait_until_full(queue: JobQueue) -> None:
    until = time.monotonic() + PATIENCE_S
    while not queue.redis.hexists("headrace:pace", "full_since"):
        if time.monotonic() > until:
            raise TimeoutError("the worker does not fill its slots")
        time.sleep(LOOK_S)


def _steps(queue: JobQueue, card: ModelCard, name: str, samples: int) -> list[float]:
    draw, steps = random.Random(0), []
    for number in track(range(samples), name, console=console):
        time.sleep(draw.uniform(*THINK_S))
        request = _request(card, f"{name}-{number}", Priority.INTERACTIVE, SHORT_TOKENS)
        queue.submit(request)
        stages = _ended(queue, request.id).timings.stages
        steps.append((stages["queue_wait"] + stages["prefill"]) / STEP_S)
    return steps


def _ended(queue: JobQueue, job_id: str) -> Job:
    until = time.monotonic() + PATIENCE_S
    while not queue.state(job_id).is_terminal:
        if time.monotonic() > until:
            raise TimeoutError(f"{job_id} does not end")
        time.sleep(LOOK_S)
    return queue.get(job_id)


def _median(steps: list[float]) -> float:
    return percentile(sorted(steps), 50)


def _spread(steps: list[float]) -> dict[str, float]:
    return {f"p{percent}": round(percentile(sorted(steps), percent), 2) for percent in (50, 95, 99)}
