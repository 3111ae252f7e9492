"""A recorded load through a policy: its cost, and how many requests would have been good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from headrace.core.errors import InvalidRequest
from headrace.loadtest.slo import Slo
from headrace.planning.machine import Machine
from headrace.planning.policy_scaler import PolicyScaler
from headrace.planning.recording import Recording
from headrace.planning.simulator import Course, simulate
from headrace.planning.slo_score import SloScore, score
from headrace.planning.trace import Trace
from scaler.rules import Rules
from scaler.step_curve import LEAST_STEPS, fit


@dataclass(frozen=True)
class WhatIf:
    """A policy with its rules, asked every `every_s`.

    The load comes `speed` times as fast. `cold_start_s` None: as measured, else as the rules say.
    """

    rules: Rules
    every_s: float = 2.0
    cold_start_s: float | None = None
    speed: float = 1.0


def happened(recording: Recording, slo: Slo) -> SloScore:
    """What it did cost, and how many requests were good."""
    e2e_s, ttft_s = recording.e2e_s, recording.ttft_s
    return score(recording.trace, e2e_s, ttft_s, slo, recording.worker_s, recording.sizes)


def replay(recording: Recording, what_if: WhatIf) -> SloScore:
    """Raises `InvalidRequest` where the record does not say how long a step takes."""
    machine = machine_of(recording, what_if.rules)
    rules = replace(what_if.rules, slots=machine.slots)
    trace = _faster(recording.trace, what_if.speed)
    course = Course(
        machine,
        _cold_starts(recording, what_if),
        first=_first(recording, rules),
        limits=(rules.min_workers, rules.max_workers),
    )
    outcome = simulate(trace, PolicyScaler(rules, what_if.every_s), course)
    e2e_s, ttft_s = (_after(trace.arrivals, moments) for moments in (outcome.ends, outcome.firsts))
    slo = Slo(rules.slo_latency_s, rules.slo_tpot_s)
    return score(trace, e2e_s, ttft_s, slo, outcome.worker_s, outcome.sizes)


def machine_of(recording: Recording, rules: Rules) -> Machine:
    curve = fit(recording.steps)
    if curve is None:
        raise InvalidRequest(
            f"{recording.source}: fewer than {LEAST_STEPS} steps were counted, so nobody knows how"
            " fast a worker is"
        )
    return Machine(curve, recording.slots or rules.slots)


def _faster(trace: Trace, speed: float) -> Trace:
    at = [moment / speed for moment in trace.arrivals]
    return replace(trace, arrivals=at, seconds=trace.seconds / speed)


def _cold_starts(recording: Recording, what_if: WhatIf) -> Callable[[int], float]:
    """The measured ones in turn, the oldest first."""
    if what_if.cold_start_s is not None:
        times: Sequence[float] = [what_if.cold_start_s]
    else:
        times = recording.cold_starts_s[::-1] or [what_if.rules.cold_start_s]
    return lambda number: times[number % len(times)]


def _first(recording: Recording, rules: Rules) -> int:
    size = recording.sizes[0][1] if recording.sizes else rules.min_workers
    return max(rules.min_workers, min(size, rules.max_workers))


def _after(arrivals: Sequence[float], moments: Sequence[float]) -> list[float]:
    return [moment - at for at, moment in zip(arrivals, moments, strict=True)]
