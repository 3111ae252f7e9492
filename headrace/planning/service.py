"""What workers make of a load, predicted: a step curve, slots, and what a request takes beside."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from headrace.loadtest.loads import OpenLoad
from headrace.loadtest.quantiles import percentile
from headrace.loadtest.slo import Slo
from headrace.planning.machine import Machine
from headrace.planning.policy_scaler import PolicyScaler
from headrace.planning.simulator import Course, Outcome, simulate
from headrace.planning.static import Static
from headrace.planning.trace import Trace
from headrace.planning.view import Scaler
from scaler.decision import Decision
from scaler.rules import Rules


@dataclass(frozen=True)
class Stretch:
    """What is measured of a load: `seconds` after its warm-up."""

    warmup_s: float
    seconds: float


@dataclass(frozen=True)
class Prediction:
    """As a load test would report it; s and output tokens/s."""

    p50_s: float
    p95_s: float
    tokens_per_s: float
    goodput: float


@dataclass(frozen=True)
class Service:
    """`overhead_s`: HTTP, tokenising and committing, beside queue and engine.

    `outputs` are lengths of answers as they were seen, of which any may come next.
    """

    machine: Machine
    overhead_s: float
    prompt_tokens: float
    outputs: Sequence[int]

    def slower(self, pace: float) -> Service:
        """On a machine whose steps take `pace` times as long."""
        return replace(self, machine=self.machine.slower(pace))

    def predict(self, load: OpenLoad, stretch: Stretch, workers: int, slo: Slo) -> Prediction:
        """Of the very arrivals that the load sends, or would send."""
        begin, end = stretch.warmup_s, stretch.warmup_s + stretch.seconds
        outcome = self._serve(load, end, Static(workers), workers, (workers, workers))
        ends = [moment + self.overhead_s for moment in outcome.ends]
        trace = outcome.trace
        counted = [n for n, at in enumerate(trace.arrivals) if at >= begin]
        latencies = sorted(ends[n] - trace.arrivals[n] for n in counted) or [0.0]
        good = sum(
            slo.allows(
                ends[n] - trace.arrivals[n],
                outcome.firsts[n] - trace.arrivals[n] + self.overhead_s,
                trace.outputs[n],
            )
            for n in counted
        )
        done = sum(trace.outputs[n] for n, at in enumerate(ends) if begin < at <= end)
        return Prediction(
            p50_s=percentile(latencies, 50),
            p95_s=percentile(latencies, 95),
            tokens_per_s=done / stretch.seconds,
            goodput=good / max(1, len(counted)),
        )

    def scaled(self, load: OpenLoad, seconds: float, workers: int, rules: Rules) -> Decision | None:
        """What the policy has decided after so long under this load."""
        scaler = PolicyScaler(rules)
        cold_start_s = rules.start.cold_start_s if rules.start else rules.cold_start_s
        bounds = (rules.min_workers, rules.max_workers)
        self._serve(load, seconds, scaler, workers, bounds, cold_start_s)
        return scaler.last

    def _serve(
        self,
        load: OpenLoad,
        seconds: float,
        scaler: Scaler,
        workers: int,
        bounds: tuple[int, int],
        cold_start_s: float = 0.0,
    ) -> Outcome:
        schedule = load.schedule()
        at = [each.offset_s for each in takewhile(lambda each: each.offset_s < seconds, schedule)]
        draw = random.Random(f"outputs {load.seed}")
        outputs = [float(draw.choice(self.outputs)) for _request in at]
        trace = Trace(at, [self.prompt_tokens] * len(at), outputs, seconds)
        course = Course(self.machine, lambda _number: cold_start_s, workers, bounds)
        return simulate(trace, scaler, course)
