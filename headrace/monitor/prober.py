"""Asks a probe, and once more before it believes that something is wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace

from headrace.core.clock import Clock
from headrace.monitor.probes import Probe

AGAIN_S = 0.5
"""After a failure the probe is asked again so soon."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What the last probe found. `was_well`: it has been well since the monitor began.

    `began` is when it was asked, `ill_since` when it first failed of those that fail, by the
    monitor's clock.
    """

    problem: str | None
    seconds: float = 0.0
    was_well: bool = True
    began: float = 0.0
    ill_since: float | None = None


class Prober:
    def __init__(self, probe: Probe, clock: Clock) -> None:
        self._probe = probe
        self._clock = clock
        self.last: Probed | None = None

    def turn(self) -> None:
        """One failure changes nothing: the second in a row does. Raises as the probe does."""
        began = self._clock.now()
        found = self._ask()
        if found.problem is not None:
            self._clock.sleep(AGAIN_S)
            found = self._ask()
        if found.problem is not None:
            since = self.last.ill_since if self.last is not None else None
            found = replace(found, ill_since=began if since is None else since)
        self.last = found

    def _ask(self) -> Probed:
        began = self._clock.now()
        problem = self._probe.problem()
        was_well = problem is None or (self.last is not None and self.last.was_well)
        return Probed(problem, self._clock.now() - began, was_well, began)
