"""Fault 4: Redis is killed under load, and started again on its append-only file."""

from __future__ import annotations

import random
import time

from tests.chaos.fault import Fault
from tests.chaos.orders import THREE_QUEUES, orders
from tests.chaos.server import Fsync
from tests.chaos.site import Site

KILLS = 2


class RedisKilled(Fault):
    """kill -9 leaves what was written to the kernel: neither way to sync may lose a job."""

    number = 4
    may_blame = False

    def __init__(self, fsync: Fsync) -> None:
        self.name = f"Redis killed, appendfsync {fsync}"
        self.fsync = fsync

    def strike(self, site: Site, dice: random.Random) -> None:
        for _worker in range(2):
            site.fleet.add()
        site.fleet.wait_until_ready()
        load = site.load(orders(dice, (5, 60), THREE_QUEUES))
        for _kill in range(KILLS):
            time.sleep(dice.uniform(0.3, 1.0))
            site.server.kill()
            time.sleep(dice.uniform(0.1, 1.5))
            site.note_recovery(since=site.server.start())
        load.stop()
