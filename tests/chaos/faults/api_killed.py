"""Fault 8: the API is killed before and after it has submitted; its callers try again."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import httpx

from headrace.core.jobs import rq_adapter
from headrace.core.jobs.failpoints import Failpoint
from tests.chaos.fault import Fault
from tests.chaos.patience import require, until
from tests.chaos.site import Site

CALLERS, ORDERS = 4, 60
KILLS = 3
PATIENCE_S = 60.0
TRY_AGAIN_S = 0.1


class ApiKilled(Fault):
    """Callers repeat a request, with its `Idempotency-Key`, until they are told its job."""

    number = 8
    name = "API killed around submit"
    may_blame = False
    may_redeliver = False

    def strike(self, site: Site, dice: random.Random) -> None:
        self._jobs: dict[str, str] = {}
        self._repeats, self._noting = 0, Lock()
        for _worker in range(2):
            site.fleet.add()
        site.fleet.wait_until_ready()
        # Each process lives for some submissions, and dies in the middle of the next.
        places = (f"{place}=kill@{dice.randint(3, 9)}" for place in _PLACES)
        self._api = site.api(",".join(places))
        with ThreadPoolExecutor(CALLERS) as pool:
            orders = [pool.submit(self._place, site, number) for number in range(ORDERS)]
            for kill in range(1, KILLS + 1):
                self._kill_when(len(orders) * kill // (KILLS + 1))
            for order in orders:
                order.result()

    def inspect(self, site: Site) -> None:
        ids = set(self._jobs.values())
        require(len(ids) == ORDERS, f"{ORDERS} keys, and {len(ids)} jobs were told")
        known = set(site.server.client.scan_iter(rq_adapter.job_key("*"), count=1000))
        found = {name for name in known if name.count(b":") == 2}
        require(len(found) == ORDERS, f"{len(found)} jobs for {ORDERS} keys")
        require(self._api.process_deaths > 0, "no failpoint was reached")
        require(self._repeats > 0, "nobody had to ask twice")

    def _kill_when(self, told: int) -> None:
        until(f"{told} jobs are told", lambda: len(self._jobs) >= told, PATIENCE_S)
        self._api.kill()
        self._api.start()

    def _place(self, site: Site, number: int) -> None:
        key, ends = f"order-{number}", time.monotonic() + PATIENCE_S
        while (job_id := self._ask(key)) is None:
            require(time.monotonic() < ends, f"{key}: not accepted within {PATIENCE_S:g} s")
            time.sleep(TRY_AGAIN_S)
        with self._noting:
            self._jobs[key] = job_id
            site.acknowledgements.write(job_id)

    def _ask(self, key: str) -> str | None:
        """None where the API died meanwhile, or is not there."""
        body = {"prompt": f"hello {key}", "max_tokens": 10, "temperature": 0}
        headers = {"Idempotency-Key": key}
        try:
            answer = httpx.post(
                f"{self._api.url}/v1/jobs", json=body, headers=headers, timeout=10.0
            )
        except httpx.TransportError:
            with self._noting:
                self._repeats += 1
            return None
        require(answer.status_code == 202, f"{key}: {answer.status_code} {answer.text}")
        return str(answer.json()["id"])


_PLACES = (Failpoint.BEFORE_SUBMIT, Failpoint.AFTER_SUBMIT)
