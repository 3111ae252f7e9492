"""Fault 14: Redis refuses writes for longer than a lease, and then fails over to its replica."""

from __future__ import annotations

import random
import time

from tests.chaos.fault import Fault
from tests.chaos.orders import THREE_QUEUES, orders
from tests.chaos.patience import require, until
from tests.chaos.server import RedisServer
from tests.chaos.site import LEASE_S, Site

BLIPS = 3
LONG_JOBS = 2
LONG_TOKENS = 400
PATIENCE_S = 20.0


class RedisFailedOver(Fault):
    """The master is a replica of nobody for a while, three times; then its replica takes over.

    Nothing is lost by it: the old master hands over when the replica has all of its writes. No
    process ends, and no job is charged with a death.
    """

    number = 14
    name = "Redis READONLY, then failed over"
    may_redeliver = False
    may_blame = False

    def strike(self, site: Site, dice: random.Random) -> None:
        for _worker in range(2):
            site.fleet.add()
        site.fleet.wait_until_ready()
        replica = site.replica()
        site.submit(*(next(orders(dice, (LONG_TOKENS, LONG_TOKENS))) for _ in range(LONG_JOBS)))
        load = site.load(orders(dice, (5, 60), THREE_QUEUES))
        for _blip in range(BLIPS):
            time.sleep(dice.uniform(0.3, 1.0))
            site.server.client.replicaof("127.0.0.1", 1)
            time.sleep(dice.uniform(1.0, 2.5) * LEASE_S)
            site.server.client.replicaof("NO", "ONE")
            site.note_recovery(since=time.time())
        self._fail_over(site, replica, dice)
        load.stop()

    def inspect(self, site: Site) -> None:
        require(not site.fleet.deaths, f"workers ended: {site.fleet.deaths}")

    def _fail_over(self, site: Site, replica: RedisServer, dice: random.Random) -> None:
        replica.client.replicaof("127.0.0.1", site.server.port)
        until("the replica has all data", lambda: _is_synchronous(replica), PATIENCE_S)
        site.server.client.execute_command("FAILOVER", "TO", "127.0.0.1", replica.port)
        until("the replica is the master", lambda: _role(replica) == "master", PATIENCE_S)
        time.sleep(dice.uniform(0.5, 2.0) * LEASE_S)  # whoever keeps its connection meets READONLY
        site.lead_to(replica)
        site.note_recovery(since=time.time())


def _is_synchronous(replica: RedisServer) -> bool:
    return replica.client.info("replication").get("master_link_status") == "up"


def _role(server: RedisServer) -> str:
    return str(server.client.info("replication")["role"])
