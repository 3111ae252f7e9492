"""How far a job's `eta_s` at its submission is from what became of it, under steady load."""

from __future__ import annotations

import asyncio
import random
import statistics
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from headrace.loadtest.words import WORDS

MAX_TOKENS = (16, 96)
PROMPT_WORDS = (10, 100)
USERS = 96
"""Three times the slots of the simulated engine: two thirds of the jobs wait."""

SHARE = 0.7
"""Of what the users got done together: at that rate jobs come by themselves, and few wait."""

WAIT_S = 60


@dataclass(frozen=True)
class Sample:
    """Seconds; `eta_s` is None where the API did not know."""

    position: int
    eta_s: float | None
    took_s: float

    @property
    def error(self) -> float:
        return abs((self.eta_s or 0.0) - self.took_s) / self.took_s


def measure(url: str, seconds: float, warm_up_s: float, headers: Sequence[str]) -> dict[str, Any]:
    """Many users first, who leave a backlog; then jobs that come at random."""
    backlog = asyncio.run(_run(url, headers, _users, seconds, warm_up_s))
    per_s = SHARE * len(backlog) / seconds
    arrivals = asyncio.run(_run(url, headers, partial(_arrivals, per_s), seconds, warm_up_s))
    return {
        "eta_backlog": _report(backlog, seconds),
        "eta_arrivals": _report(arrivals, seconds),
        "eta_seconds": seconds,
        "eta_max_tokens": MAX_TOKENS,
    }


Ask = Callable[[], Coroutine[Any, Any, None]]


async def _run(
    url: str,
    headers: Sequence[str],
    load: Callable[[Ask, float], Awaitable[None]],
    seconds: float,
    warm_up_s: float,
) -> list[Sample]:
    """What was submitted after the warm-up."""
    loop, draw, samples = asyncio.get_running_loop(), random.Random(0), list[Sample]()
    counts_from = loop.time() + warm_up_s
    async with ClientSession(
        url,
        headers=dict(header.split(": ", 1) for header in headers),
        timeout=ClientTimeout(total=2 * WAIT_S),
        connector=TCPConnector(limit=0),
    ) as session:

        async def ask() -> None:
            counts = loop.time() >= counts_from
            sample = await _ask(session, draw)
            if counts:
                samples.append(sample)

        await load(ask, warm_up_s + seconds)
    return samples


async def _users(ask: Ask, seconds: float) -> None:
    until = asyncio.get_running_loop().time() + seconds

    async def use() -> None:
        while asyncio.get_running_loop().time() < until:
            await ask()

    async with asyncio.TaskGroup() as users:
        for _user in range(USERS):
            users.create_task(use())


async def _arrivals(per_s: float, ask: Ask, seconds: float) -> None:
    loop, draw = asyncio.get_running_loop(), random.Random(1)
    until = loop.time() + seconds
    async with asyncio.TaskGroup() as requests:
        while loop.time() < until:
            requests.create_task(ask())
            await asyncio.sleep(draw.expovariate(per_s))


async def _ask(session: ClientSession, draw: random.Random) -> Sample:
    words = draw.choices(WORDS, k=draw.randint(*PROMPT_WORDS))
    body = {"prompt": " ".join(words), "max_tokens": draw.randint(*MAX_TOKENS)}
    async with session.post("/v1/jobs", json=body) as answer:
        answer.raise_for_status()
        submitted = await answer.json()
    job = submitted
    while job["status"] in ("queued", "running"):
        async with session.get(f"/v1/jobs/{job['id']}?wait={WAIT_S}") as answer:
            job = await answer.json()
    times = job["timings"]
    took_s = times["committed_at"] - times["accepted_at"]
    return Sample(submitted["position"], submitted["eta_s"], took_s)


def _report(samples: Sequence[Sample], seconds: float) -> dict[str, Any]:
    known = [sample for sample in samples if sample.eta_s is not None]
    bias = statistics.median((sample.eta_s or 0.0) / sample.took_s for sample in known)
    return {
        "median_error": round(statistics.median(sample.error for sample in known), 3),
        "median_predicted_vs_actual": round(bias, 3),
        "median_took_s": round(statistics.median(sample.took_s for sample in samples), 2),
        "median_position": statistics.median(sample.position for sample in samples),
        "jobs": len(samples),
        "unknown": len(samples) - len(known),
        "jobs_per_s": round(len(samples) / seconds, 2),
    }
