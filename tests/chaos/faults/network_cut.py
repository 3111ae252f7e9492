"""Fault 6: the network to Redis resets, swallows, or answers no more: for the load, or for all."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from tests.chaos.fault import Fault
from tests.chaos.load import Load
from tests.chaos.orders import orders
from tests.chaos.patience import require, until
from tests.chaos.proxy import Proxy, Way
from tests.chaos.site import Site

SUBMIT_FAILS_S = 2.0


class NetworkCut(Fault):
    """A submit says within 2 s that it failed, and may be repeated afterwards."""

    number = 6
    name = "network reset, black hole, half-open"
    may_blame = False

    def strike(self, site: Site, dice: random.Random) -> None:
        for _worker in range(2):
            site.fleet.add()
        site.fleet.wait_until_ready()
        ways = [Way.RESET, Way.BLACK_HOLE, Way.HALF_OPEN]
        dice.shuffle(ways)
        load = site.load(orders(dice, (5, 40)), pace_s=0.05)
        for way in ways:
            time.sleep(dice.uniform(0.2, 0.8))
            proxies = dice.choice([[site.load_proxy], [site.load_proxy, site.proxy]])
            self._cut(site, load, way, proxies, dice.uniform(0.5, 2.5))
        load.stop()
        self._check(load)

    def _cut(
        self, site: Site, load: Load, way: Way, proxies: Sequence[Proxy], lasts_s: float
    ) -> None:
        # One that still waits on a connection of the last cut would fail for that one's sake.
        accepted = load.accepted
        until("a submit succeeds", lambda: load.accepted > accepted, 10.0)
        refused = len(load.refusals)
        _turn(proxies, way)
        try:
            time.sleep(lasts_s)
            until(f"a submit fails ({way.name})", lambda: len(load.refusals) > refused, 30.0)
        finally:
            _turn(proxies, Way.PASS)
        site.note_recovery(since=time.time())

    def _check(self, load: Load) -> None:
        slowest = max(load.refusals, key=lambda refusal: refusal.seconds)
        unclear = [refusal.error for refusal in load.refusals if not refusal.is_clear]
        require(not unclear, f"a submit failed without saying why: {unclear[:1]!r}")
        require(
            slowest.seconds <= SUBMIT_FAILS_S,
            f"a submit took {slowest.seconds:.1f} s to fail: {slowest.error}",
        )


def _turn(proxies: Sequence[Proxy], way: Way) -> None:
    for proxy in proxies:
        proxy.turn(way)
