"""Fault 1: workers are killed at every place where their jobs stand differently in Redis."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Sequence

from headrace.core.jobs.failpoints import Failpoint
from headrace.core.types import Priority
from tests.chaos.fault import Fault
from tests.chaos.member import Member
from tests.chaos.orders import ONE_QUEUE, THREE_QUEUES, orders
from tests.chaos.patience import until
from tests.chaos.site import LEASE_S, Site
from tests.chaos.takeover import takeovers

LATEST_HIT = {
    Failpoint.AFTER_CLAIM: 3,
    Failpoint.AFTER_SEND: 3,
    Failpoint.MID_STEP: 40,
    Failpoint.BEFORE_FINISH: 3,
    Failpoint.AFTER_FINISH: 3,
}
KILL_9 = None
PEERS = 2


class WorkerKilled(Fault):
    """Five workers die one after another; two live on that have room for everything.

    One at a time: a job that dies twice is a suspect, and waits to run alone.
    """

    number = 1

    def __init__(self, *, supervised: bool, priorities: Sequence[Priority]) -> None:
        help_, queues = ("supervised" if supervised else "alone"), _words(priorities)
        self.name = f"worker killed, {help_}, {queues}"
        self.supervised = supervised
        self.recovery_bound_s = 1.0 if supervised else LEASE_S + 2.0
        self._priorities = priorities

    def strike(self, site: Site, dice: random.Random) -> None:
        for _peer in range(PEERS):
            site.fleet.add()
        site.fleet.wait_until_ready()
        load = site.load(orders(dice, (10, 60), self._priorities))
        places = [*LATEST_HIT, KILL_9]
        dice.shuffle(places)
        for place in places:
            self._kill_one(site, place, dice)
        load.stop()

    def _kill_one(self, site: Site, place: Failpoint | None, dice: random.Random) -> None:
        spec = f"{place}=kill@{dice.randint(1, LATEST_HIT[place])}" if place else ""
        victim = site.fleet.add(failpoints=spec)
        if place is KILL_9:
            site.fleet.wait_until_ready(victim)
            time.sleep(dice.uniform(0.0, 0.5))
            victim.send(signal.SIGKILL)
        self._await_takeover(site, victim)

    def _await_takeover(self, site: Site, victim: Member) -> None:
        until(f"{victim.run_name} dies", lambda: victim.deaths, 20.0)
        (death,) = victim.deaths
        site.recoveries += takeovers(site.server.client, death.held, death.at)


def _words(priorities: Sequence[Priority]) -> str:
    return {ONE_QUEUE: "one queue", THREE_QUEUES: "three queues"}[tuple(priorities)]
