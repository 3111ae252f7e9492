"""Fault 1, of the engine: its process is killed, or crashes in native code; its worker lives."""

from __future__ import annotations

import os
import random
import signal
import time

from headrace.core.jobs.failpoints import Failpoint
from headrace.core.roster import Roster
from tests.chaos.fault import Fault
from tests.chaos.member import Member
from tests.chaos.orders import THREE_QUEUES, orders
from tests.chaos.patience import require, until
from tests.chaos.site import Site
from tests.chaos.takeover import takeovers

LATEST_HIT = 40
PLACES = (Failpoint.BEFORE_ENGINE_STEP, Failpoint.AFTER_ENGINE_STEP)
ACTIONS = ("kill", "crash")
PATIENCE_S = 20.0


class EngineKilled(Fault):
    """Five engines die one after another; each worker gives back what ran, and goes on.

    One at a time: a job that dies twice is a suspect, and waits to run alone.
    """

    number = 1
    name = "engine killed or crashed"
    supervised = False
    recovery_bound_s = 1.0

    def strike(self, site: Site, dice: random.Random) -> None:
        site.fleet.wait_until_ready(site.fleet.add())
        load = site.load(orders(dice, (10, 60), THREE_QUEUES))
        specs = [f"{place}={action}" for place in PLACES for action in ACTIONS]
        self._victims: list[str] = []
        for spec in dice.sample([*specs, ""], len(specs) + 1):
            self._kill_one(site, spec, dice)
        load.stop()

    def inspect(self, site: Site) -> None:
        require(not site.fleet.deaths, "a worker died of its engine's death")
        for worker in self._victims:
            deaths = len(site.fleet.engine_deaths(worker))
            require(deaths == 1, f"{worker}: {deaths} engines died, and not one")

    def _kill_one(self, site: Site, spec: str, dice: random.Random) -> None:
        armed = spec and f"{spec}@{dice.randint(1, LATEST_HIT)}"
        victim = site.fleet.add(failpoints=armed)
        self._victims.append(victim.run_name)
        if not spec:
            site.fleet.wait_until_ready(victim)
            time.sleep(dice.uniform(0.0, 0.5))
            os.kill(victim.engine_pid, signal.SIGKILL)
        until(
            f"{spec or 'kill -9'} happens",
            lambda: site.fleet.engine_deaths(victim.run_name),
            PATIENCE_S,
        )
        until(f"{victim.run_name} is back", lambda: self._is_back(site, victim), PATIENCE_S)
        (died_at,) = site.fleet.engine_deaths(victim.run_name)
        lost = site.fleet.redelivered(victim.run_name)
        site.recoveries += takeovers(site.server.client, lost, died_at)

    def _is_back(self, site: Site, victim: Member) -> bool:
        workers = Roster(site.server.client, site.settings.lease_s).workers()
        return any(
            worker.name == victim.run_name and worker.activity == "ready" for worker in workers
        )
