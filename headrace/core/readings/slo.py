"""Whether users are served as they were promised, read at one moment."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace.core import events
from headrace.core.connection import Client
from headrace.core.jobs.counters import Counters
from headrace.core.readings.alert import Alert
from headrace.core.readings.overview import MOST_RECENT, Recent, active_alerts, recent_of
from headrace.core.readings.slo_course import KEPT_S, WINDOWS, Tally, totals_of
from headrace.core.readings.slo_store import SloStore
from headrace.core.settings import Settings


@dataclass(frozen=True, slots=True)
class SloReading:
    """`tallies` by window, the whole 30 days among them; `recent` are the jobs of a minute."""

    objective: float
    latency_s: float
    tallies: Mapping[str, Tally]
    recent: Recent
    alerts: Sequence[Alert]

    @property
    def budget_left(self) -> float | None:
        """Share of what may go wrong in 30 days; None where no job ended."""
        spent = self.tallies["30d"].burn_rate(self.objective)
        return None if spent is None else 1 - spent


def read(redis: Client, settings: Settings) -> SloReading:
    """Raises `redis.exceptions.RedisError` when the server is away."""
    now = time.time()
    totals = totals_of(Counters(redis, settings).read(), now)
    course = SloStore(redis).course(now)
    windows = {**WINDOWS, "30d": KEPT_S}
    return SloReading(
        objective=settings.slo_objective,
        latency_s=settings.slo_latency_s,
        tallies={name: course.tally(seconds, totals) for name, seconds in windows.items()},
        recent=recent_of(events.completions(redis, MOST_RECENT), now),
        alerts=active_alerts(redis),
    )
