"""How long a claim takes while very many jobs wait, in three mixes of tenants."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.progress import track

from bench.pairs import console
from bench.server import empty
from bench.workload import make_request, roomy_settings, submit_all
from headrace.core.connection import Client
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import Request, Room
from headrace.loadtest.quantiles import percentile

TENANTS = 10
SLOTS = (1, 32)
LATE_JOBS = 5
"""What each small tenant submits behind the flood."""

MOST_TOKENS = 1000
ROOM_TOKENS = 10**9


def flood(jobs: int) -> Iterator[Request]:
    """One tenant's many, then five of each of nine others."""
    late = [f"tenant-{number}" for number in range(1, TENANTS) for _job in range(LATE_JOBS)]
    yield from (make_request("flood") for _job in range(jobs - len(late)))
    yield from (make_request(tenant) for tenant in late)


def blocks(jobs: int) -> Iterator[Request]:
    """Ten tenants, each with all its jobs at once."""
    yield from (make_request(f"tenant-{job * TENANTS // jobs}") for job in range(jobs))


def shuffled(jobs: int) -> Iterator[Request]:
    """Ten tenants in any order, with any costs."""
    draw = random.Random(0)
    for _job in range(jobs):
        tenant = f"tenant-{draw.randrange(TENANTS)}"
        yield make_request(tenant, max_tokens=draw.randint(1, MOST_TOKENS))


MIXES: dict[str, Callable[[int], Iterator[Request]]] = {
    "flood": flood,
    "blocks": blocks,
    "shuffled": shuffled,
}


def measure(redis: Client, jobs: int, claims: int) -> dict[str, dict[str, Any]]:
    """Milliseconds by mix and slots. `claims` calls of each, in turn; nothing claimed comes back.

    Raises `RuntimeError` where a claim brings fewer jobs than it has slots.
    """
    queue = JobQueue(redis, roomy_settings())
    times: dict[str, dict[str, Any]] = {}
    for name, mix in MIXES.items():
        empty(redis)
        submit_all(queue, track(mix(jobs), f"submitting {name}", jobs, console=console))
        times[name] = _claim(queue, claims)
    empty(redis)
    return times


def _claim(queue: JobQueue, claims: int) -> dict[str, Any]:
    seconds: dict[int, list[float]] = {slots: [] for slots in SLOTS}
    for _claim in range(claims):
        for slots in SLOTS:
            started = time.perf_counter()
            claimed = queue.claim("bench", Room(slots, ROOM_TOKENS))
            seconds[slots].append(time.perf_counter() - started)
            if len(claimed.claims) != slots:
                raise RuntimeError(f"{len(claimed.claims)} jobs claimed for {slots} slots")
    return {f"slots_{slots}": _spread_ms(each) for slots, each in seconds.items()}


def _spread_ms(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    spread = {f"p{percent}": percentile(ordered, percent) for percent in (50, 99)}
    return {name: round(value * 1000, 3) for name, value in (spread | {"max": ordered[-1]}).items()}
