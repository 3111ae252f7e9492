"""Fault 7: every request to Redis is 200 ms late, and one in twenty 2 s."""

from __future__ import annotations

import random
from typing import Any

from tests.chaos.fault import Fault
from tests.chaos.orders import orders
from tests.chaos.proxy import Latency
from tests.chaos.site import Site

SLOW = Latency(fixed_s=0.2, long_s=2.0, long_share=0.05)
JOBS = 12


class SlowRedis(Fault):
    """With the default lease: what must hold against 2 s is the 10 s of production."""

    number = 7
    name = "Redis slow (200 ms, 5 % 2 s)"
    may_blame = False
    may_redeliver = False
    patience_s = 60.0

    def changes(self) -> dict[str, Any]:
        return {"lease_s": 10.0}

    def strike(self, site: Site, dice: random.Random) -> None:
        for _worker in range(2):
            site.fleet.add()
        site.fleet.wait_until_ready()
        for proxy in (site.proxy, site.load_proxy):
            proxy.slow_down(SLOW)
        load = site.load(orders(dice, (8, 15)), pace_s=0.0, most=JOBS)
        load.join(self.patience_s)
        site.settle(self.patience_s)
