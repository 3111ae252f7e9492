"""How long the calls take that every part of a deployment makes, beside queues of any lengths."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.progress import track

from api.app import create_app
from batcher.simulated import SimulatedEngine
from bench.pairs import console
from bench.serving import Serving
from bench.workload import CARD
from headrace.core.card_store import CardStore
from headrace.core.jobs.job_list import read_page
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.precedence import Precedence
from headrace.core.jobs.queue import JobQueue
from headrace.core.readings.overview import Reader
from headrace.core.types import JobState, Room
from headrace.loadtest.quantiles import percentile

SLOTS, ROOM_TOKENS = 32, 10**9
PAGE = 50
FULL = Precedence(yielded=Room(SLOTS, 1))
"""What a full worker offers to interactive jobs: it looks before each step, mostly in vain."""

Calls = Mapping[str, Callable[[], object]]


def calls_of(queue: JobQueue) -> Calls:
    """Returns each call by its name."""
    redis, settings = queue.redis, queue.settings
    CardStore(redis).put(CARD)
    leases, top, app = Leases(redis, settings), Reader(redis, settings), create_app(settings)
    client = app.test_client()
    return {
        "claim": lambda: claim(queue),
        "look_of_a_full_worker": lambda: queue.claim("full", Room(0, 0), FULL, CARD.hash),
        "sweep": leases.sweep,
        "list": lambda: read_page(queue, PAGE),
        "list_of_a_tenant": lambda: read_page(queue, PAGE, tenant="tenant-0"),
        "list_of_nobody": lambda: read_page(queue, PAGE, state=JobState.FAILED, tenant="nobody"),
        "top": top.read,
        "readyz": lambda: client.get("/readyz"),
        "api_start": lambda: create_app(settings),
        "worker_start": lambda: _start_worker(queue),
    }


def claim(queue: JobQueue) -> None:
    """Fills all slots, or sets aside as many jobs of another card as one call may.

    Raises `RuntimeError` where it does neither: then nothing is left to measure.
    """
    claimed = queue.claim("bench", Room(SLOTS, ROOM_TOKENS), card_hash=CARD.hash)
    if len(claimed.claims) < SLOTS and not claimed.set_aside:
        raise RuntimeError(f"{len(claimed.claims)} jobs claimed for {SLOTS} slots")


def measure(queues: Mapping[int, Calls], repeats: int) -> dict[int, dict[str, Any]]:
    """Returns milliseconds by length and name. The lengths take turns, since a machine drifts."""
    names = next(iter(queues.values()))
    times = {length: {name: list[float]() for name in names} for length in queues}
    for _repeat in track(range(repeats), "calls", console=console):
        for name in names:
            for length, calls in queues.items():
                times[length][name].append(_time(calls[name]))
    return {
        length: {name: _spread_ms(seconds) for name, seconds in each.items()}
        for length, each in times.items()
    }


def time_claims(queue: JobQueue, claims: int) -> dict[str, float]:
    """Returns milliseconds of this many claims in a row."""
    return _spread_ms([_time(lambda: claim(queue)) for _claim in range(claims)])


def _start_worker(queue: JobQueue) -> None:
    with Serving(queue, SimulatedEngine(queue.settings, CARD), CARD):
        pass


def _time(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _spread_ms(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    spread = {f"p{percent}": percentile(ordered, percent) for percent in (50, 99)}
    return {name: round(value * 1000, 3) for name, value in (spread | {"max": ordered[-1]}).items()}
