"""Fault 5: Redis forgets its scripts again and again, and is then restarted properly."""

from __future__ import annotations

import random
import time

from tests.chaos.fault import Fault
from tests.chaos.orders import THREE_QUEUES, orders
from tests.chaos.site import Site

FLUSHES = 10


class RedisRestarted(Fault):
    number = 5
    name = "SCRIPT FLUSH, Redis restarted"
    may_blame = False

    def strike(self, site: Site, dice: random.Random) -> None:
        for _worker in range(2):
            site.fleet.add()
        site.fleet.wait_until_ready()
        load = site.load(orders(dice, (5, 60), THREE_QUEUES))
        for _flush in range(FLUSHES):
            time.sleep(dice.uniform(0.0, 0.2))
            site.server.client.script_flush()
        site.server.stop()
        time.sleep(dice.uniform(0.1, 1.0))
        site.note_recovery(since=site.server.start())
        load.stop()
