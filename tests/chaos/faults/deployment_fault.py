"""Faults of a whole `headrace up`."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from headrace.core.settings import Settings
from tests.chaos.api_load import ApiLoad
from tests.chaos.fault import Fault
from tests.chaos.patience import until
from tests.chaos.site import Site
from tests.chaos.up import Up

PATIENCE_S = 30.0


class DeploymentFault(Fault):
    """`up` is the deployment. No death may be charged: nothing of it is a job's doing."""

    may_blame = False
    patience_s = 60.0

    def server(self, folder: Path, changes: dict[str, Any]) -> Up:
        self.up = self.make_up(folder / "up", Settings(engine="simulated", **changes))
        return self.up

    def make_up(self, folder: Path, settings: Settings) -> Up:
        return Up(folder, settings)

    def changes(self) -> dict[str, Any]:
        return {"workers": 2, "canary_s": 0.0, "drain_s": 2.0}

    def load(self, site: Site, dice: random.Random, tokens: tuple[int, int] = (5, 60)) -> ApiLoad:
        """Callers of its API who have begun, and have had answers."""
        load = ApiLoad(self.up.url, site.acknowledgements, dice, tokens)
        load.start()
        self.await_answers(load, 5)
        return load

    def await_answers(self, load: ApiLoad, more: int) -> None:
        """Waits until so many more jobs are accepted."""
        wanted = load.accepted + more
        until(f"{more} jobs are accepted", lambda: load.accepted >= wanted, PATIENCE_S)
