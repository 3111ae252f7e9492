"""Fault 2: every worker in turn is asked to end, under load."""

from __future__ import annotations

import random
import signal
import time
from typing import Any

from tests.chaos.fault import Fault
from tests.chaos.member import Member
from tests.chaos.orders import THREE_QUEUES, orders
from tests.chaos.patience import require, until
from tests.chaos.site import Site

WORKERS = 3
DRAIN_S = 8.0


class RollingRestart(Fault):
    """Jobs are shorter than the time to drain: none may be begun twice."""

    number = 2
    name = "rolling restart"
    may_blame = False
    may_redeliver = False

    def changes(self) -> dict[str, Any]:
        return {"drain_s": DRAIN_S}

    def strike(self, site: Site, dice: random.Random) -> None:
        workers = [site.fleet.add() for _ in range(WORKERS)]
        site.fleet.wait_until_ready()
        load = site.load(orders(dice, (5, 60), THREE_QUEUES))
        for worker in workers:
            time.sleep(dice.uniform(0.1, 0.6))
            worker.send(signal.SIGTERM)
            self._replace(site, worker)
        load.stop()

    def _replace(self, site: Site, worker: Member) -> None:
        until(f"{worker.run_name} has drained", lambda: worker.deaths, DRAIN_S + 2.0)
        (death,) = worker.deaths
        require(death.exit_code == 0, f"{death.worker} ended with {death.exit_code}")
        # What it gives back unfinished counts no attempt, but is begun a second time all the same.
        released = [line["released"] for line in site.fleet.log_of(death.worker) if _tells(line)]
        require(released == [0], f"{death.worker} gave back {released} jobs that it could finish")
        site.fleet.wait_until_ready(site.fleet.add())


def _tells(line: dict[str, Any]) -> bool:
    return bool(line["message"] == "worker drained")
