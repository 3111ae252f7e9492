"""Fault 18: a hostile request every second, beside ordinary work."""

from __future__ import annotations

import random
import time

import httpx

from tests.chaos.faults.deployment_fault import DeploymentFault
from tests.chaos.hostile import requests
from tests.chaos.patience import require
from tests.chaos.site import Site

EVERY_S = 1.0
REQUESTS = 16
ANSWER_S = 10.0
NEIGHBOUR_S = 10.0
"""Longest that an ordinary submission may take meanwhile: this finds whoever freezes the API, also
on a busy machine."""


class HostileRequests(DeploymentFault):
    """Each is refused, or served like any other: no process ends, and no neighbour waits."""

    number = 18
    name = "hostile request every second"
    may_redeliver = False

    def strike(self, site: Site, dice: random.Random) -> None:
        load = self.load(site, dice)
        before = {process.pid for process in self.up.processes}
        for route, body in dice.sample(requests(), REQUESTS):
            began = time.monotonic()
            self._send(route, body)
            time.sleep(max(0.0, EVERY_S - (time.monotonic() - began)))
        load.stop()
        gone = before - {process.pid for process in self.up.processes}
        require(not gone, f"{len(gone)} processes ended")
        require(load.slowest_s < NEIGHBOUR_S, f"a submission took {load.slowest_s:.1f} s")
        require(not load.refusals, f"an ordinary submission was refused: {load.refusals[:1]}")

    def _send(self, route: str, body: bytes) -> None:
        what = f"POST {route} {body[:60]!r}"
        try:
            answer = httpx.post(
                f"{self.up.url}{route}",
                content=body,
                headers={"Content-Type": "application/json"},
                timeout=ANSWER_S,
            )
        except httpx.TimeoutException:
            require(False, f"{what}: no answer within {ANSWER_S:g} s")
            return
        except httpx.TransportError:
            return  # refused in the middle of its body
        allowed = answer.status_code < 500 or answer.status_code in (503, 504)
        require(allowed, f"{what}: {answer.status_code} {answer.text[:200]}")
