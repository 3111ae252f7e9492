"""Who runs no-op jobs against each other: workers of stock RQ, and ours at one batch size."""

from __future__ import annotations

import gc
import resource
from dataclasses import dataclass
from typing import Protocol

from bench.noop_engine import NoopEngine
from bench.serving import Serving
from bench.workload import CARD, make_request, roomy_settings, submit_all
from headrace.core.connection import Client
from headrace.core.jobs import keys, rq_adapter
from headrace.core.jobs.queue import JobQueue

MOST_JOBS = 40_000


@dataclass(frozen=True)
class Run:
    """`seconds` are those between a worker's birth and death; CPU time includes both."""

    jobs: int
    seconds: float
    cpu_s: float
    server_cpu_s: float

    @property
    def jobs_per_s(self) -> float:
        return self.jobs / self.seconds


class Contender(Protocol):
    """`redis` is the client it works with; `queue_name` where RQ counts its finished jobs."""

    redis: Client
    queue_name: str

    def fill(self, jobs: int) -> None:
        """Puts jobs into the empty queue."""

    def work(self) -> tuple[float, int]:
        """Runs them all; the seconds it took, and in how many batches."""


class Batched:
    """Our worker on an engine that does nothing, in `slots` slots."""

    def __init__(self, redis: Client, slots: int) -> None:
        self.redis = redis
        self.queue_name = next(iter(keys.QUEUE_NAMES.values()))
        self._slots = slots
        self._queue = JobQueue(redis, roomy_settings(max_slots=slots))
        self._jobs = 0

    def fill(self, jobs: int) -> None:
        self._jobs = jobs
        requests = [make_request() for _job in range(jobs)]
        self.queue_name = keys.QUEUE_NAMES[requests[0].priority]
        submit_all(self._queue, requests)

    def work(self) -> tuple[float, int]:
        engine = NoopEngine(self._slots)
        with Serving(self._queue, engine, CARD) as serving:
            # Not one turn more than needed: it would wait for the next job.
            seconds = serving.turn_until(lambda: engine.finished >= self._jobs)
        return seconds, engine.steps


def run(contender: Contender, jobs: int) -> Run:
    """A run on an empty server. Raises `RuntimeError` where not every job succeeded."""
    contender.redis.flushdb()
    contender.fill(jobs)
    gc.collect()
    before, server_before = _cpu_s(), _server_cpu_s(contender.redis)
    seconds, _batches = contender.work()
    cpu_s, server_cpu_s = _cpu_s() - before, _server_cpu_s(contender.redis) - server_before
    finished = contender.redis.zcard(rq_adapter.registry_key("finished", contender.queue_name))
    if finished != jobs:
        raise RuntimeError(f"{finished} of {jobs} jobs succeeded")
    return Run(jobs, seconds, cpu_s, server_cpu_s)


def jobs_for(contender: Contender, seconds: float) -> int:
    """How many jobs keep it busy for about that long; warms it up as well."""
    jobs = 64
    while True:
        trial = run(contender, jobs)
        wanted = min(MOST_JOBS, max(1, round(trial.jobs_per_s * seconds)))
        if trial.seconds >= seconds / 4 or wanted <= jobs:
            return wanted
        jobs = min(wanted, jobs * 8)


def _cpu_s() -> float:
    """Of this process and of the children that it has waited for."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _server_cpu_s(redis: Client) -> float:
    cpu = redis.info("cpu")
    return float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])
