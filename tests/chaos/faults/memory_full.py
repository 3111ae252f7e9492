"""Fault 11: Redis has no memory left, and evicts nothing."""

from __future__ import annotations

import random
import time

from redis.exceptions import OutOfMemoryError

from headrace.core.errors import QueueFull
from tests.chaos.fault import Fault
from tests.chaos.orders import orders
from tests.chaos.patience import require, until
from tests.chaos.site import Site

REFUSALS = 10
SUBMIT_FAILS_S = 2.0


class MemoryFull(Fault):
    """Submits are refused; the jobs that exist stay, and end once there is memory again."""

    number = 11
    name = "Redis out of memory"
    may_blame = False

    def strike(self, site: Site, dice: random.Random) -> None:
        for _worker in range(2):
            site.fleet.add()
        site.fleet.wait_until_ready()
        load = site.load(orders(dice, (20, 60)), pace_s=0.01)
        until("jobs are accepted", lambda: load.accepted > 10, 10.0)
        self._limit(
            site, site.server.client.info("memory")["used_memory"] + dice.randint(0, 99_999)
        )
        until("submits are refused", lambda: len(load.refusals) >= REFUSALS, 20.0)
        time.sleep(dice.uniform(0.5, 2.0))
        self._limit(site, 0)
        site.note_recovery(since=time.time())
        load.stop()
        for refusal in load.refusals:
            clear = isinstance(refusal.error, OutOfMemoryError | QueueFull)
            require(clear, f"a submit was refused with {refusal.error!r}")
            require(refusal.seconds <= SUBMIT_FAILS_S, f"a refusal took {refusal.seconds:.1f} s")

    def _limit(self, site: Site, limit_bytes: int) -> None:
        site.server.client.config_set("maxmemory", limit_bytes)
