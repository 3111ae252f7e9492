"""Fault 10: the engine cannot go on with one request of a batch."""

from __future__ import annotations

import random

from headrace.core.types import JobState
from tests.chaos.fault import Fault
from tests.chaos.markers import Mark, Misdeed
from tests.chaos.orders import orders
from tests.chaos.patience import require
from tests.chaos.site import Site
from tests.fakes import make_request

BATCH = 16


class EngineErrors(Fault):
    """That request fails; the others succeed, and no worker dies."""

    number = 10
    name = "exception or NaN in one request"
    may_blame = False

    def strike(self, site: Site, dice: random.Random) -> None:
        normal = orders(dice, (10, 60))
        self._others = [next(normal) for _ in range(BATCH - 2)]
        self._marked = [
            make_request(
                misdeed, prompt=f"stumble {Mark(misdeed, dice.randint(0, 20))}", max_tokens=40
            )
            for misdeed in (Misdeed.RAISE, Misdeed.NAN)
        ]
        batch = [*self._others, *self._marked]
        dice.shuffle(batch)
        site.submit(*batch)
        site.fleet.add()

    def inspect(self, site: Site) -> None:
        others = {site.queue.state(request.id) for request in self._others}
        require(others == {JobState.SUCCEEDED}, f"the others ended as {sorted(others)}")
        marked = {site.queue.state(request.id) for request in self._marked}
        require(marked == {JobState.FAILED}, f"the marked requests ended as {sorted(marked)}")
        require(not site.fleet.deaths, f"{len(site.fleet.deaths)} workers died")
