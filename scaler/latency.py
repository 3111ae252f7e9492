"""The law `latency`: workers in proportion to the 95th percentile of latencies over its target."""

from __future__ import annotations

from math import ceil

from scaler.crew import Crew
from scaler.memory import Memory
from scaler.readings import Readings
from scaler.rules import Rules
from scaler.want import Want

TOLERANCE = 0.1
"""Nearer to the target nothing changes."""


def want(rules: Rules, memory: Memory, crew: Crew, reading: Readings) -> Want:
    """Where nothing ended while jobs wait, latencies are unknown and the fleet stays."""
    if reading.p95_s is None:
        idle = reading.waiting.jobs + reading.running.jobs == 0
        size = rules.min_workers if idle else crew.size
        return Want(size, size, "nothing ended in the last minute")
    ratio = reading.p95_s / rules.target_p95_s
    size = crew.size if abs(ratio - 1) <= TOLERANCE else ceil(crew.ready * ratio)
    reason = f"p95 latency {reading.p95_s:.1f} s, target {rules.target_p95_s:g} s"
    return Want(_not_twice(size, crew), size, reason)


def _not_twice(size: int, crew: Crew) -> int:
    """Those that start do not show in latencies yet: nothing is asked for twice."""
    return max(size, crew.size) if size > crew.ready else size
