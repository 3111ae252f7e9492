"""Fault 12: the scaler is killed at every step while the fleet grows and shrinks; two at once."""

from __future__ import annotations

import random
import signal
import time
from itertools import pairwise
from typing import Any

from headrace.core.decision_log import decisions
from headrace.core.jobs import keys, rq_adapter
from headrace.core.jobs.failpoints import Failpoint
from headrace.core.roster import Roster
from tests.chaos.crew import Moment
from tests.chaos.fault import Fault
from tests.chaos.orders import orders
from tests.chaos.patience import require, until
from tests.chaos.scaler import ScalerProcess
from tests.chaos.site import Site

PLACES = (
    Failpoint.AFTER_READING,
    Failpoint.AFTER_LEASE,
    Failpoint.BEFORE_ORDER,
    Failpoint.AFTER_ORDER,
)
LATEST_HIT = 6
MOST = 4
TICK_S = 0.2
SHORT, LONG = (10, 60), (40, 80)
HEAVY_S, LIGHT_S = 0.03, 0.3
"""Between two jobs: work for more than `MOST` workers, and for half of one."""

PATIENCE_S = 40.0
ALL_DECISIONS = 5000


class ScalerKilled(Fault):
    """Workers of 16 slots make 400 tokens a second; one job runs for 0.4 to 3.2 s."""

    number = 12
    name = "scaler killed, two scalers"
    may_blame = False
    may_redeliver = False
    recovery_bound_s = 5.0

    def changes(self) -> dict[str, Any]:
        engine = {"simulated_alpha_s": 0.04, "max_slots": 16, "lease_s": 5.0}
        bounds = {"scaler_min": 1, "scaler_max": MOST}
        return engine | bounds | {"scaler_tick_s": TICK_S, "scaler_window_s": 3.0}

    def strike(self, site: Site, dice: random.Random) -> None:
        self._site, self._died_at = site, 0.0
        self._crew = site.crew(1)
        until("a worker is ready", lambda: self._ready() == 1, PATIENCE_S)
        load = site.load(orders(dice, SHORT), HEAVY_S)
        self._kill_while_the_fleet_grows(dice)
        self._scaler = self._let_two_compete(dice)
        until(f"{MOST} workers are ready", lambda: self._ready() == MOST, PATIENCE_S)
        load.stop()
        load = site.load(orders(dice, LONG), LIGHT_S)
        self._kill_while_the_fleet_shrinks()
        load.stop()

    def inspect(self, site: Site) -> None:
        self._await_rest()
        fences = [record.fence for record in decisions(site.server.client, ALL_DECISIONS)]
        require(len(set(fences)) > len(PLACES), f"too few scalers acted: {fences}")
        back = [pair for pair in pairwise(fences) if pair[0] > pair[1]]
        require(not back, f"a scaler acted behind its successor: {back}")
        require(len(self._crew.ends) > 2, "too few workers went")
        badly = [end for end in self._crew.ends if end.exit_code or end.ran]
        require(not badly, f"workers were stopped while they were busy, or died: {badly}")
        require(not site.server.client.exists(keys.DEATHS), "a death was noted")

    def _kill_while_the_fleet_grows(self, dice: random.Random) -> None:
        for place in dice.sample(PLACES, len(PLACES)):
            scaler = self._start(f"{place}=kill@{dice.randint(1, LATEST_HIT)}")
            self._await_death(scaler)

    def _let_two_compete(self, dice: random.Random) -> ScalerProcess:
        """The first is stopped between deciding and acting, until the second leads.

        Returns the first again: the second resigns.
        """
        first = self._start(f"{Failpoint.BEFORE_ORDER}=stop@{dice.randint(2, LATEST_HIT)}")
        second = self._site.scaler()
        until("the second leads", lambda: second.fences, PATIENCE_S)
        first.send(signal.SIGCONT)
        until("what the first wanted is refused", lambda: first.refused, PATIENCE_S)
        require(first.refused == first.fences, f"{first.refused} of {first.fences} is refused")
        second.send(signal.SIGTERM)
        until("the first leads again", lambda: len(first.fences) == 2, PATIENCE_S)
        require(first.fences[1] == second.fences[-1] + 1, "somebody led between the two")
        return first

    def _kill_while_the_fleet_shrinks(self) -> None:
        until("a busy worker drains", self._drains_and_runs, PATIENCE_S)
        self._scaler.kill()
        self._replace()
        for moment in Moment:
            self._crew.desired.fix(3)
            self._await_size(3)
            self._crew.at(moment, self._scaler.kill)
            self._crew.desired.fix(1)
            self._replace()
            self._await_size(1)
        self._crew.desired.auto()
        until("the policy decides", lambda: self._mode() == "auto", PATIENCE_S)

    def _replace(self) -> None:
        """Waits for the scaler's death, and lets another lead."""
        self._await_death(self._scaler)
        self._scaler = self._start()

    def _await_death(self, scaler: ScalerProcess) -> None:
        until("the scaler dies", lambda: not scaler.is_running, PATIENCE_S)
        self._died_at = scaler.ended_at

    def _start(self, failpoints: str = "") -> ScalerProcess:
        """A scaler that leads, or died before it could."""
        scaler = self._site.scaler(failpoints)
        until("a scaler leads", lambda: scaler.fences or not scaler.is_running, PATIENCE_S)
        if scaler.fences and self._died_at:
            self._site.recoveries.append(time.time() - self._died_at)
        return scaler

    def _await_size(self, size: int) -> None:
        until(f"{size} workers are wanted", lambda: self._wanted() == size, PATIENCE_S)
        self._await_rest()

    def _await_rest(self) -> None:
        """As many live as are wanted, and nothing is left of those that went."""
        redis, gone = self._site.server.client, (keys.DRAINING, keys.SURPLUS, keys.DISMISSED)
        until("as many live as are wanted", lambda: self._ready() == self._wanted(), PATIENCE_S)
        until("nobody drains", lambda: not redis.exists(*gone), PATIENCE_S)

    def _drains_and_runs(self) -> bool:
        redis = self._site.server.client
        names = [name.decode() for name in redis.smembers(keys.SURPLUS)]
        return any(redis.scard(f"{rq_adapter.worker_key(name)}:executions") for name in names)

    def _wanted(self) -> int | None:
        return self._crew.desired.read().size

    def _mode(self) -> str:
        newest = decisions(self._site.server.client, 1)
        return newest[0].mode if newest else ""

    def _ready(self) -> int:
        roster = Roster(self._site.server.client, self._site.settings.lease_s)
        return sum(worker.activity == "ready" for worker in roster.workers())
