"""Fault 3: a worker stands still for three leases, and then goes on as if nothing had been."""

from __future__ import annotations

import random
import signal
import time
from typing import Any

from headrace.core.jobs.job import Job
from headrace.core.jobs.job_list import read_page
from headrace.core.types import JobState
from tests.chaos.fault import Fault
from tests.chaos.member import Member
from tests.chaos.orders import orders
from tests.chaos.patience import require, until
from tests.chaos.site import LEASE_S, Site
from tests.chaos.takeover import takeovers

JOBS = 16
STOPPED_S = 3 * LEASE_S
REFUSED = {
    "job lost: it has ended, or is another worker's",
    "late result refused: the job is another's",
}


class WorkerStopped(Fault):
    """Its jobs are continued elsewhere; what it says of them later is refused."""

    number = 3
    name = "worker stopped for 3 leases"
    supervised = False
    recovery_bound_s = LEASE_S + 2.0

    def changes(self) -> dict[str, Any]:
        return {"simulated_alpha_s": 0.03, "max_slots": JOBS}

    def strike(self, site: Site, dice: random.Random) -> None:
        sleeper = site.fleet.add()
        site.fleet.wait_until_ready()
        load = site.load(orders(dice, (40, 150)), pace_s=0.0, most=JOBS)
        until("all jobs run", lambda: len(self._running(site)) == JOBS, 10.0)
        load.stop()
        site.fleet.wait_until_ready(site.fleet.add())
        time.sleep(dice.uniform(0.0, 0.5))
        self._stop_and_wake(site, sleeper)

    def _stop_and_wake(self, site: Site, sleeper: Member) -> None:
        stopped_at = time.time()
        sleeper.send(signal.SIGSTOP)
        self._taken = self._held(site, sleeper)
        try:
            time.sleep(STOPPED_S)
            site.recoveries += takeovers(site.server.client, self._taken, stopped_at)
        finally:
            sleeper.send(signal.SIGCONT)
        self._sleeper = sleeper.run_name

    def inspect(self, site: Site) -> None:
        log = site.fleet.log_of(self._sleeper)
        refused = {line["job_id"] for line in log if line["message"] in REFUSED}
        require(self._taken, "the stopped worker had no jobs")
        missing = self._taken - refused
        require(not missing, f"nothing that the woken worker said of {missing} was refused")

    def _held(self, site: Site, worker: Member) -> set[str]:
        return {job.id for job in self._running(site) if job.worker == worker.run_name}

    def _running(self, site: Site) -> list[Job]:
        return read_page(site.queue, JOBS, state=JobState.RUNNING).jobs
