"""Who runs no-op jobs against each other: workers of stock RQ, and ours at one batch size."""

from __future__ import annotations

import gc
import resource
import time
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import psutil

from bench.noop_engine import NoopEngine
from bench.server import empty
from bench.serving import Serving
from bench.workload import CARD, make_request, roomy_settings, submit_all
from headrace.core.connection import Client
from headrace.core.jobs import keys, rq_adapter
from headrace.core.jobs.queue import JobQueue

MOST_JOBS = 40_000


@dataclass(frozen=True)
class Run:
    """`seconds` are those between a worker's birth and death; CPU time includes both.

    `others_cores` is what other processes of this machine used meanwhile. It matters: where the
    cores are kept awake, a worker of many round trips runs twice as fast on some machines.
    """

    jobs: int
    seconds: float
    cpu_s: float
    server_cpu_s: float
    others_cores: float

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
    empty(contender.redis)
    contender.fill(jobs)
    gc.collect()
    started, busy_s, own_s, server_s = _times(contender.redis)
    seconds, _batches = contender.work()
    ended = _times(contender.redis)
    cpu_s, server_cpu_s = ended.own_s - own_s, ended.server_s - server_s
    others_s = ended.busy_s - busy_s - cpu_s - server_cpu_s
    finished = contender.redis.zcard(rq_adapter.registry_key("finished", contender.queue_name))
    if finished != jobs:
        raise RuntimeError(f"{finished} of {jobs} jobs succeeded")
    others_cores = max(0.0, others_s / (ended.now - started))
    return Run(jobs, seconds, cpu_s, server_cpu_s, others_cores)


def jobs_for(contender: Contender, seconds: float) -> int:
    """How many jobs keep it busy for about that long; warms it up as well."""
    jobs = 64
    while True:
        trial = run(contender, jobs)
        wanted = min(MOST_JOBS, max(1, round(trial.jobs_per_s * seconds)))
        if trial.seconds >= seconds / 4 or wanted <= jobs:
            return wanted
        jobs = min(wanted, jobs * 8)


class _Times(NamedTuple):
    """Wall time, and CPU time of the machine, of this process with its children, of the server."""

    now: float
    busy_s: float
    own_s: float
    server_s: float


def _times(redis: Client) -> _Times:
    machine = psutil.cpu_times()
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    server = redis.info("cpu")
    return _Times(
        now=time.monotonic(),
        busy_s=sum(machine) - machine.idle - getattr(machine, "iowait", 0.0),
        own_s=sum(usage.ru_utime + usage.ru_stime for usage in usages),
        server_s=float(server["used_cpu_user"]) + float(server["used_cpu_sys"]),
    )
