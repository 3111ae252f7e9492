"""Fault 16: SIGTERM to all processes at once, three times in a row over a long job."""

from __future__ import annotations

import random
import time

from tests.chaos.faults.deployment_fault import DeploymentFault
from tests.chaos.orders import orders
from tests.chaos.patience import require
from tests.chaos.site import Site

RESTARTS = 3
LONG_TOKENS = 800
"""16 s: longer than all that runs between two restarts, and than the time to drain."""


class StoppedAtOnce(DeploymentFault):
    """As `systemctl restart` does it by default. Redis outlives those who need it."""

    number = 16
    name = "SIGTERM to all processes at once"
    may_redeliver = False

    def strike(self, site: Site, dice: random.Random) -> None:
        site.submit(*(next(orders(dice, (LONG_TOKENS, LONG_TOKENS))) for _ in range(2)))
        load = self.load(site, dice)
        for _restart in range(RESTARTS):
            time.sleep(dice.uniform(0.2, 1.0))
            exit_code = self.up.stop_all_at_once()
            require(exit_code == 0, f"`headrace up` ended with {exit_code}")
            self.up.start()
            site.note_recovery(since=time.time())
        load.stop()

    def inspect(self, site: Site) -> None:
        log = self.up.log.read_text()
        require("did not end in time" not in log, "a process did not end in time")
        require("jobs not given back" not in log, "a worker could not give its jobs back")
