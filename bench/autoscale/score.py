"""The figures of a run."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bench.autoscale.fixed import SHARE, work_rates
from bench.autoscale.trace import columns
from headrace.planning.machine import Machine
from headrace.planning.simulator import Outcome
from scaler.rules import Rules

RULES = Rules()


@dataclass(frozen=True)
class Score:
    """Of the requests that a worker of their own would serve in time.

    `slo_violation_s`: seconds in which a request was accepted that ended too late or never.
    `attainment`: share of requests that were good. `worker_s`: from spawn on. `reversals`: how
    often the size went the other way. `overshoot`: most workers over those for the fullest
    minute, less 1; `beyond`: workers above 1.2 times those and one. `recovery_s`: the longest time
    without ten good seconds in a row.
    """

    slo_violation_s: float
    attainment: float
    worker_s: float
    scale_events: int
    reversals: int
    busy_kills: int
    p50_s: float
    p99_s: float
    overshoot: float
    beyond: float
    recovery_s: float


def score(outcome: Outcome, machine: Machine) -> Score:
    trace = outcome.trace
    arrivals, prompts, outputs = columns(trace)
    limits = RULES.slo_latency_s + outputs * RULES.slo_tpot_s
    alone_s = machine.curve.gamma * prompts + outputs * machine.curve.seconds(1, 0)
    latencies = np.array(outcome.ends) - arrivals
    bad = (latencies > limits) & (alone_s <= limits)
    counted = int((alone_s <= limits).sum())
    bad_seconds = np.unique(np.floor(arrivals[bad]))
    sizes = [size for _moment, size in outcome.sizes]
    known = np.minimum(latencies, trace.seconds)
    peak = max(1.0, float(np.ceil(work_rates(trace, machine, 60.0).max() / SHARE)))
    return Score(
        slo_violation_s=float(len(bad_seconds)),
        attainment=1 - float(bad.sum()) / max(1, counted),
        worker_s=outcome.worker_s,
        scale_events=len(sizes) - 1,
        reversals=reversals(sizes),
        busy_kills=outcome.busy_kills,
        p50_s=float(np.percentile(known, 50)) if len(known) else 0.0,
        p99_s=float(np.percentile(known, 99)) if len(known) else 0.0,
        overshoot=max(sizes) / peak - 1,
        beyond=max(0.0, max(sizes) - (1.2 * peak + 1)),
        recovery_s=longest_trouble(bad_seconds.tolist()),
    )


def reversals(sizes: list[int]) -> int:
    directions = [after > before for before, after in pairwise(sizes) if after != before]
    return sum(now != before for before, now in pairwise(directions))


def longest_trouble(bad_seconds: list[float], calm_s: float = 10.0) -> float:
    """Bad seconds less than `calm_s` apart are one trouble."""
    longest, begin, last = 0.0, None, 0.0
    for second in bad_seconds:
        if begin is None or second - last > calm_s:
            begin = second
        last = second
        longest = max(longest, last + 1 - begin)
    return longest
