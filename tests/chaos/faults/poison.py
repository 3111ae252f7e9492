"""Fault 9: one prompt of a batch kills the engine, every time."""

from __future__ import annotations

import random
from typing import Any

from headrace.core import events
from headrace.core.types import JobState
from tests.chaos.fault import Fault
from tests.chaos.markers import Mark, Misdeed
from tests.chaos.orders import orders
from tests.chaos.patience import require, until
from tests.chaos.site import Site
from tests.fakes import make_request

BATCH = 16
MOST_DEATHS = 5
DEAD = "dead"


class Poison(Fault):
    """The 15 others succeed, the one becomes a dead letter."""

    number = 9
    name = "poison prompt in a batch of 16"
    patience_s = 60.0

    def changes(self) -> dict[str, Any]:
        return {"max_slots": BATCH}

    def strike(self, site: Site, dice: random.Random) -> None:
        misdeed = dice.choice([Misdeed.EXIT, Misdeed.MEMORY])
        mark = Mark(misdeed, tokens=dice.choice([0, dice.randint(1, 10)]))
        batch = [next(mates) for mates in [orders(dice, (15, 30))] for _ in range(BATCH - 1)]
        self._poison = make_request("poison", prompt=f"drink me {mark}", max_tokens=40)
        batch.insert(dice.randrange(BATCH), self._poison)
        site.submit(*batch)
        self._worker = site.fleet.add().run_name
        site.fleet.wait_until_ready()
        until("the first engine dies", lambda: site.fleet.engine_deaths(self._worker), 30.0)

    def inspect(self, site: Site) -> None:
        died_at, *others = site.fleet.engine_deaths(self._worker)
        records = events.completions(site.server.client, BATCH)
        innocent = [record for record in records if record.job_id != self._poison.id]
        done = [record for record in innocent if record.state is JobState.SUCCEEDED]
        site.recoveries += [(record.timings.committed or 0.0) - died_at for record in done]
        deaths = 1 + len(others)
        survived = f"{len(done)} of {BATCH - 1} batch mates succeeded, {deaths} engines died"
        require(len(done) == BATCH - 1 and deaths <= MOST_DEATHS, survived)
        require(not site.fleet.deaths, "the worker died")
        (poison,) = (record for record in records if record.job_id == self._poison.id)
        ending = f"{poison.state}, reason {poison.reason!r}"
        require(ending == f"{JobState.FAILED}, reason {DEAD!r}", f"the poison ended as {ending}")
