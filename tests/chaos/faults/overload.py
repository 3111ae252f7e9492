"""Fault 13: three times as much as the fleet can do, for a minute; then half of it."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Any

import httpx

from tests.chaos.fault import Fault
from tests.chaos.patience import require
from tests.chaos.site import Site

TOKENS, STEP_S, SLOTS = 20, 0.02, 4
CAPACITY = SLOTS / (TOKENS * STEP_S)
"""Jobs a second: all last equally long."""

OVERLOAD, OVERLOAD_S, AFTERWARDS = 3.0, 60.0, 0.5
QUEUE_MAX_JOBS = 100
LEAST_ACCEPTED = 0.8
"""Of the retries."""


@dataclass
class Tally:
    """Requests that were `accepted` or `refused` at first, and of one retry each."""

    accepted: int = 0
    refused: int = 0
    retries_accepted: int = 0
    retries_refused: int = 0


class Overload(Fault):
    """An open loop: nobody waits for an answer before the next one asks.

    Who is refused asks once more, when `Retry-After` says; fresh requests come until all have.
    """

    number = 13
    name = "three times the capacity"
    may_blame = False
    may_redeliver = False
    patience_s = 60.0
    most_seeds = 1  # calling all of them back takes five minutes

    def changes(self) -> dict[str, Any]:
        engine = {"simulated_alpha_s": STEP_S, "max_slots": SLOTS, "lease_s": 5.0}
        return engine | {"queue_max_jobs": QUEUE_MAX_JOBS}

    def strike(self, site: Site, dice: random.Random) -> None:
        site.fleet.add()
        site.fleet.wait_until_ready()
        self.tally = Tally()
        asyncio.run(_Callers(site, dice, self.tally).run())

    def inspect(self, site: Site) -> None:
        tally = self.tally
        retries = tally.retries_accepted + tally.retries_refused
        require(tally.refused > OVERLOAD_S * CAPACITY, f"too few were refused: {tally}")
        require(retries == tally.refused, f"not everybody asked again: {tally}")
        share = tally.retries_accepted / retries
        require(share >= LEAST_ACCEPTED, f"{share:.0%} of the retries were accepted: {tally}")


class _Callers:
    def __init__(self, site: Site, dice: random.Random, tally: Tally) -> None:
        self._site = site
        self._dice = dice
        self._tally = tally
        self._url = f"{site.api().url}/v1/jobs"
        self._retries: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        limits = httpx.Limits(max_connections=200)
        self._client = httpx.AsyncClient(timeout=30.0, limits=limits)
        async with self._client, asyncio.TaskGroup() as self._group:
            await self._come(OVERLOAD * CAPACITY, lambda: self._elapsed() >= OVERLOAD_S)
            await self._come(AFTERWARDS * CAPACITY, lambda: not self._retries)

    async def _come(self, rate: float, is_over: Any) -> None:
        """Callers arrive at random, so many a second."""
        self._began = time.monotonic()
        due = self._began
        while not is_over():
            due += self._dice.expovariate(rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self._group.create_task(self._call())

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    async def _call(self) -> None:
        wait_s = await self._ask()
        if wait_s is None:
            self._tally.accepted += 1
            return
        self._tally.refused += 1
        task = self._group.create_task(self._call_again(wait_s))
        self._retries.add(task)
        task.add_done_callback(self._retries.discard)

    async def _call_again(self, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        if await self._ask() is None:
            self._tally.retries_accepted += 1
        else:
            self._tally.retries_refused += 1

    async def _ask(self) -> float | None:
        """None where it was accepted, else when to ask again."""
        body = {"prompt": "hello", "max_tokens": TOKENS, "temperature": 0}
        answer = await self._client.post(self._url, json=body)
        if answer.status_code == 202:
            self._site.acknowledgements.write(answer.json()["id"])
            return None
        require(answer.status_code == 429, f"refused with {answer.status_code}: {answer.text}")
        wait_s = float(answer.headers["Retry-After"])
        require(wait_s >= 1.0, f"Retry-After: {wait_s}")
        return wait_s
