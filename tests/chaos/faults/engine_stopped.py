"""Fault 3, of the engine: its process stands still for three leases; its worker does not."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import Any

from headrace.core.jobs.job_list import read_page
from headrace.core.types import JobState
from tests.chaos.fault import Fault
from tests.chaos.orders import orders
from tests.chaos.patience import require, until
from tests.chaos.site import LEASE_S, Site
from tests.chaos.takeover import takeovers

JOBS = 16
STOPPED_S = 3 * LEASE_S


class EngineStopped(Fault):
    """`in_time`: it goes on before it is missed, as if nothing had been. Else it is replaced."""

    number = 3
    supervised = False

    def __init__(self, *, in_time: bool) -> None:
        self.name = f"engine stopped for 3 leases, {'unnoticed' if in_time else 'replaced'}"
        self._in_time = in_time
        self.may_redeliver = not in_time  # type: ignore[misc]
        self._stall_s = 10 * LEASE_S if in_time else LEASE_S
        self.recovery_bound_s = None if in_time else self._stall_s + 2.0

    def changes(self) -> dict[str, Any]:
        return {"simulated_alpha_s": 0.03, "max_slots": JOBS, "engine_stall_s": self._stall_s}

    def strike(self, site: Site, dice: random.Random) -> None:
        sleeper = site.fleet.add()
        site.fleet.wait_until_ready()
        load = site.load(orders(dice, (100, 150)), pace_s=0.0, most=JOBS)
        until("all jobs run", lambda: self._running(site) == JOBS, 10.0)
        load.stop()
        time.sleep(dice.uniform(0.0, 0.5))
        self._sleeper, engine = sleeper.run_name, sleeper.engine_pid
        stopped_at = time.time()
        os.kill(engine, signal.SIGSTOP)
        if self._in_time:
            time.sleep(STOPPED_S)
            os.kill(engine, signal.SIGCONT)
            return
        until("it is missed", lambda: site.fleet.redelivered(self._sleeper), STOPPED_S)
        lost = site.fleet.redelivered(self._sleeper)
        site.recoveries += takeovers(site.server.client, lost, stopped_at)

    def inspect(self, site: Site) -> None:
        deaths = len(site.fleet.engine_deaths(self._sleeper))
        require(deaths == (not self._in_time), f"{deaths} engines died")
        require(not site.fleet.deaths, "the worker died")

    def _running(self, site: Site) -> int:
        return len(read_page(site.queue, JOBS, state=JobState.RUNNING).jobs)
