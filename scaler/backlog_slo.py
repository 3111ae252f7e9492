"""The law `backlog-slo`: enough workers for what comes in, and for what waits already."""

from __future__ import annotations

from math import ceil, floor

from scaler.crew import Crew
from scaler.memory import Memory
from scaler.readings import Readings
from scaler.rules import Rules
from scaler.want import Want
from scaler.work import Speed


def want(rules: Rules, memory: Memory, crew: Crew, reading: Readings) -> Want:
    speed = memory.work.speed(rules)
    if speed is None:
        return _by_slots(rules, crew, reading)
    rate = memory.arrivals.demand(rules)
    by_rate = ceil(rate / (rules.up_share * speed.tokens_per_s))
    by_backlog = _by_backlog(rules, crew, reading, rate, speed)
    if by_backlog > crew.size:
        by_backlog = max(crew.size, min(by_backlog, _most(rules, memory, crew, reading, speed)))
    return Want(
        size=max(by_rate, by_backlog),
        keep=max(ceil(rate / (rules.down_share * speed.tokens_per_s)), by_backlog),
        reason=_reason(by_rate, by_backlog, rate, speed, reading),
        urgent=_is_late(rules, reading),
        slo_infeasible=speed.slo_infeasible,
    )


def _by_backlog(rules: Rules, crew: Crew, reading: Readings, rate: float, speed: Speed) -> int:
    """0 where those who are there or come will have caught up by the horizon.

    What runs now is not counted: at the horizon as much may run.
    """
    drain_s = max(rules.drain_s, rules.drain_cold_starts * crew.cold_start_s)
    horizon_s = crew.cold_start_s + drain_s
    due = reading.waiting.tokens + rate * horizon_s
    rest = due - speed.tokens_per_s * crew.worker_s(horizon_s)
    if reading.waiting.jobs <= 0 or rest <= 0:
        return 0
    return crew.size + ceil(rest / (drain_s * speed.tokens_per_s))


def _most(rules: Rules, memory: Memory, crew: Crew, reading: Readings, speed: Speed) -> int:
    """Workers that a backlog may call for: as S3 has it, or those that a burst alone needs.

    Who would catch up by the horizon would soon be too many for what comes.
    """
    needed = ceil(memory.arrivals.crest(rules) / (rules.down_share * speed.tokens_per_s))
    clear_s = max(rules.clear_s, crew.slowest_s)
    for_backlog = ceil(reading.waiting.tokens / (clear_s * speed.tokens_per_s))
    return max(floor((1 + rules.overshoot_share) * needed) + 1, for_backlog)


def _by_slots(rules: Rules, crew: Crew, reading: Readings) -> Want:
    """While nobody knows how fast a worker is: a slot for each job, and nobody leaves meanwhile."""
    jobs = reading.waiting.jobs + reading.running.jobs
    size = ceil(jobs / rules.slots)
    reason = f"{jobs} jobs for {rules.slots} slots each; the speed of a worker is not known yet"
    keep = max(size, crew.size) if jobs else 0
    return Want(size, keep, reason, urgent=_is_late(rules, reading))


def _is_late(rules: Rules, reading: Readings) -> bool:
    return reading.waiting.jobs > 0 and reading.oldest_wait_s >= 0.5 * rules.slo_latency_s


def _reason(by_rate: int, by_backlog: int, rate: float, speed: Speed, reading: Readings) -> str:
    if by_backlog > by_rate:
        return (
            f"{reading.waiting.jobs} jobs wait, the oldest for {reading.oldest_wait_s:.1f} s;"
            f" a worker does {speed.tokens_per_s:.0f} tokens/s"
        )
    return f"{rate:.0f} tokens/s come in; a worker does {speed.tokens_per_s:.0f}"
