"""Who works now and soon, as far as a size is decided on it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from scaler.readings import Readings
from scaler.rules import Rules


@dataclass(frozen=True, slots=True)
class Crew:
    """`ready` workers, and of those that come the seconds until they will be ready.

    Workers that were decided on and are not seen yet come as well, so nothing is asked for twice.
    """

    ready: int
    coming_s: tuple[float, ...]
    cold_start_s: float
    slowest_s: float
    """The cold start, or the age of one that still starts after that time."""

    @property
    def size(self) -> int:
        return self.ready + len(self.coming_s)

    def worker_s(self, horizon_s: float) -> float:
        """Seconds of work that all of them have within the horizon."""
        coming = sum(max(0.0, horizon_s - wait_s) for wait_s in self.coming_s)
        return self.ready * horizon_s + coming


def find_crew(rules: Rules, reading: Readings, decided: int | None) -> Crew:
    cold_s = cold_start(rules, reading)
    ready = sum(member.phase == "ready" for member in reading.members)
    ages = [member.age_s for member in reading.members if member.phase == "starting"]
    unseen = max(0, (decided or 0) - ready - len(ages))
    coming = [max(0.0, cold_s - age) for age in ages] + [cold_s] * unseen
    return Crew(ready, tuple(coming), cold_s, max([cold_s, *ages]))


def cold_start(rules: Rules, reading: Readings) -> float:
    """From spawn to ready: the 90th percentile of the last ones."""
    times = sorted(reading.cold_starts_s)
    if times:
        return times[ceil(0.9 * len(times)) - 1]
    return rules.start.cold_start_s if rules.start else rules.cold_start_s
