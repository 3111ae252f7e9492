"""What `headrace slo` shows, read at one moment."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace.cli.top_reading import MOST_RECENT, Recent, active_alerts, recent_of
from headrace.core import events
from headrace.core.connection import Client
from headrace.core.jobs.counters import Counters
from headrace.core.settings import Settings
from headrace.monitor.alerts import Alert
from headrace.monitor.problems import WINDOWS
from headrace.monitor.slo_course import KEPT_S, Tally, totals_of
from headrace.monitor.slo_store import SloStore


@dataclass(frozen=True, slots=True)
class Reading:
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


def read(redis: Client, settings: Settings) -> Reading:
    """Raises `redis.exceptions.RedisError` when the server is away."""
    now = time.time()
    totals = totals_of(Counters(redis, settings).read(), now)
    course = SloStore(redis).course(now)
    windows = {**WINDOWS, "30d": KEPT_S}
    return Reading(
        objective=settings.slo_objective,
        latency_s=settings.slo_latency_s,
        tallies={name: course.tally(seconds, totals) for name, seconds in windows.items()},
        recent=recent_of(events.completions(redis, MOST_RECENT), now),
        alerts=active_alerts(redis),
    )
