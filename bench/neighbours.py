"""Nine small tenants on one simulated engine, alone or behind a tenant that floods the queue."""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass

from batcher.simulated import SimulatedEngine
from bench.server import empty
from bench.serving import Serving
from bench.workload import CARD, make_request, submit_all
from headrace.core.connection import Client
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings
from headrace.core.types import Request
from headrace.loadtest.quantiles import percentile

TENANTS, JOBS_EACH = 9, 5
OUTPUT_TOKENS = (8, 24)
"""Jobs differ, so that slots free up one by one; every run has the same ones."""


@dataclass(frozen=True)
class Run:
    """What the nine saw, in seconds: their waits, and how long their jobs then ran."""

    waits: tuple[float, ...]
    service_s: float

    @property
    def p95(self) -> float:
        return percentile(sorted(self.waits), 95)


class Neighbours:
    """`settings` hold the law of the simulated engine and its slots."""

    def __init__(self, redis: Client, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings

    def run(self, flood: int) -> Run:
        """`flood` jobs of a tenth tenant wait when the nine come, and all slots run such jobs."""
        empty(self._redis)
        queue = JobQueue(self._redis, self._settings)
        engine, draw = SimulatedEngine(self._settings, CARD), random.Random(0)
        nine = [_request(f"tenant-{job % TENANTS}", draw) for job in range(TENANTS * JOBS_EACH)]
        with Serving(queue, engine, CARD) as serving:
            if flood:
                jobs = flood + self._settings.max_slots
                submit_all(queue, (_request("flood", draw) for _job in range(jobs)))
                serving.turn_until(lambda: engine.room().slots == 0)
            submit_all(queue, nine)
            left = [request.id for request in nine]
            serving.turn_until(lambda: _have_ended(queue, left))
        stages = [queue.get(request.id).timings.stages for request in nine]
        return Run(
            waits=tuple(each["queue_wait"] for each in stages),
            service_s=statistics.mean(each["prefill"] + each["decode"] for each in stages),
        )


def _have_ended(queue: JobQueue, left: list[str]) -> bool:
    """Strikes off those that ended; one question a turn as a rule, so that it costs little."""
    while left and queue.state(left[-1]).is_terminal:
        left.pop()
    return not left


def _request(tenant: str, draw: random.Random) -> Request:
    return make_request(tenant, max_tokens=draw.randint(*OUTPUT_TOKENS))
