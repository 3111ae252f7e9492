"""How fast jobs are submitted, one a call and many a call, beside RQ's own queue."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from redis import Redis

from bench.rounds import interleave, ratio
from bench.server import Server, empty
from bench.stock import StockQueue
from bench.workload import (
    CHUNK,
    can_submit_many,
    make_request,
    roomy_settings,
    submit_chunks,
)
from headrace.core.connection import Client
from headrace.core.jobs.queue import JobQueue


def measure(server: Server, rounds: int, jobs: int) -> dict[str, Any]:
    """`jobs` submitted a run; the `many` entries are absent where this version has no such call."""
    runs = _runs(server, jobs)
    rates = interleave(rounds, runs, "submitting")
    report: dict[str, Any] = {
        "submit_per_s": {name: round(statistics.median(each)) for name, each in rates.items()},
        "jobs_a_submit_run": jobs,
        "jobs_a_submit_many": CHUNK,
        **ratio("ratio_submit_vs_enqueue", rates["headrace"], rates["rq"]),
    }
    if "headrace_many" in rates:
        report |= ratio(
            "ratio_submit_many_vs_enqueue_many", rates["headrace_many"], rates["rq_many"]
        )
    return report


def _runs(server: Server, jobs: int) -> dict[str, Callable[[], float]]:
    redis, stock_redis = server.client(), Redis.from_url(server.url)
    ours, stock = JobQueue(redis, roomy_settings()), StockQueue(stock_redis)

    def submit_each() -> None:
        for request in [make_request() for _job in range(jobs)]:
            ours.submit(request)

    def enqueue_each() -> None:
        for _job in range(jobs):
            stock.submit_one()

    def enqueue_chunks() -> None:
        for start in range(0, jobs, CHUNK):
            stock.submit_chunk(min(CHUNK, jobs - start))

    def submit_many() -> None:
        submit_chunks(ours, [make_request() for _job in range(jobs)])

    runs = {"headrace": submit_each, "rq": enqueue_each, "rq_many": enqueue_chunks}
    if can_submit_many():
        runs["headrace_many"] = submit_many
    return {name: partial(_rate, redis, submit, jobs) for name, submit in runs.items()}


def _rate(redis: Client, submit: Callable[[], None], jobs: int) -> float:
    empty(redis)
    started = time.perf_counter()
    submit()
    return jobs / (time.perf_counter() - started)
