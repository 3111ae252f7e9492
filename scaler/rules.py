"""What the policies go by; the daemon makes it of the settings once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scaler.start_values import StartValues

PolicyName = Literal["backlog-slo", "queue-depth", "latency"]


@dataclass(frozen=True, slots=True)
class Rules:
    """Seconds end in `_s`; a `share` is one of what a worker can do."""

    policy: PolicyName = "backlog-slo"
    min_workers: int = 1
    """0: none at all once nothing has happened for `idle_s`."""
    max_workers: int = 8
    slots: int = 32
    """Requests that a worker runs together."""
    slo_latency_s: float = 1.0
    slo_tpot_s: float = 0.15
    stale_s: float = 6.0
    """Older readings are unknown."""
    gap_s: float = 10.0
    """After a longer time without readings the window of shrinking begins anew."""

    newest_s: float = 3.0
    fast_s: float = 8.0
    slow_s: float = 60.0
    """Time constants of the averages of arrivals."""
    steps_s: float = 120.0
    """Time constant of what is known of a worker's speed."""
    up_share: float = 0.80
    down_share: float = 0.70
    """The fleet grows above the one, and shrinks only where the rest stays under the other."""
    drain_s: float = 15.0
    drain_cold_starts: float = 0.0
    """A backlog should be gone so long after those that it calls for are ready: the longer one."""
    overshoot_share: float = 0.2
    clear_s: float = 60.0
    """A backlog calls for this share more, and one, than what comes needs, or for so many as clear
    what waits within `clear_s`, or a cold start."""
    cold_start_s: float = 30.0
    """From spawn to ready, until some were measured."""
    start: StartValues | None = None
    """How fast a worker is, until some steps were seen."""

    growth_s: float = 15.0
    growth_workers: int = 8
    growth_share: float = 3.0
    """Within `growth_s` the fleet grows by the larger of the two."""
    up_ticks: int = 2
    """How often in a row a wish to grow that is not urgent must come."""
    down_window_s: float = 60.0
    """The fleet shrinks to the most that was wanted in this time, or `down_cold_starts` of them."""
    down_cold_starts: float = 3.0
    idle_s: float = 300.0

    deaths: int = 3
    deaths_s: float = 300.0
    """So many deaths within that time are a crash loop."""
    gain_share: float = 0.25
    gain_watch_s: float = 20.0
    gain_s: float = 600.0
    """Workers that bring less than this share of what they should are taken back for `gain_s`."""
    pace_s: float = 100.0
    """So long ago the pace of fewer workers is not compared: a machine's speed drifts."""
    pace_ticks: int = 0
    """Growth waits for so many ticks at most until the pace of those who are there is known."""

    jobs_per_worker: float = 22.0
    """What `queue-depth` aims at: jobs that wait or run."""
    target_p95_s: float = 10.0
    """What `latency` aims at."""
