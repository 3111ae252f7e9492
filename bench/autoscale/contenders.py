"""All policies, by name, made anew for every run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf

from bench.autoscale.course import LIMITS
from bench.autoscale.fixed import Oracle, workers_at_peak
from bench.autoscale.hpa import HpaRunning, KedaList
from bench.autoscale.serving import KNATIVE_SHARE, Knative, RayServe, SqsBacklog
from headrace.planning.machine import Machine
from headrace.planning.policy_scaler import PolicyScaler
from headrace.planning.static import Static
from headrace.planning.trace import Trace
from headrace.planning.view import Scaler
from scaler.rules import Rules

OURS, ORACLE, PEAK, KEDA = "ours", "oracle", "static-peak", "keda"
LEAST, MOST = LIMITS
RULES = Rules(min_workers=LEAST, max_workers=MOST)

Make = Callable[[Trace, Machine, float], Scaler]
"""Of trace (into which only oracle and static peak look), machine and cold start."""

PEERS: Mapping[str, Make] = {
    "static-1": lambda trace, machine, cold_s: Static(1),
    PEAK: lambda trace, machine, cold_s: Static(workers_at_peak(trace, machine)),
    KEDA: lambda trace, machine, cold_s: KedaList(),
    "keda-tuned": lambda trace, machine, cold_s: KedaList(length=2, stabilisation_s=120),
    "hpa-running": lambda trace, machine, cold_s: HpaRunning(KNATIVE_SHARE * machine.slots),
    "knative": lambda trace, machine, cold_s: Knative(machine.slots),
    "ray-serve": lambda trace, machine, cold_s: RayServe(KNATIVE_SHARE * machine.slots),
    "sqs-backlog": lambda trace, machine, cold_s: SqsBacklog(_accepted_backlog(machine)),
    ORACLE: lambda trace, machine, cold_s: Oracle(trace, machine, cold_s),
}

ABLATIONS: Mapping[str, Rules] = {
    "ours-no-fast-rate": replace(RULES, fast_s=RULES.slow_s),
    "ours-no-backlog": replace(RULES, drain_s=1e9),
    "ours-no-urgency": replace(RULES, slo_latency_s=inf),
    "ours-no-window": replace(RULES, down_window_s=0.0, down_cold_starts=0.0),
    "ours-no-hysteresis": replace(RULES, down_share=RULES.up_share),
    "ours-no-gain": replace(RULES, gain_watch_s=inf),
}
"""Ours, without one part each."""

VARIANTS: Mapping[str, Rules] = {
    OURS: RULES,
    "queue-depth": replace(RULES, policy="queue-depth"),
    "latency": replace(RULES, policy="latency", target_p95_s=25.0),
    **ABLATIONS,
}


def _ours(rules: Rules) -> Make:
    return lambda trace, machine, cold_s: PolicyScaler(rules)


POLICIES: Mapping[str, Make] = {
    **PEERS,
    **{name: _ours(rules) for name, rules in VARIANTS.items()},
}


def _accepted_backlog(machine: Machine) -> float:
    """Jobs that a worker ends within the latency of the SLO."""
    return max(1.0, RULES.slo_latency_s * machine.jobs_per_s(210, 211))
