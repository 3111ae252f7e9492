"""A deployment that is a simulation: loads are measured on it without a second passing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from headrace.core.step_sums import StepSums
from headrace.loadtest.fleet_watch import Moment, Watched
from headrace.loadtest.in_flight import InFlight
from headrace.loadtest.loads import ClosedLoad, Load, OpenLoad
from headrace.loadtest.measurement import Measurement
from headrace.loadtest.record import Record, ServerTimes
from headrace.loadtest.result import Result, judge
from headrace.loadtest.slo import Slo
from headrace.planning.capacity import Capacity, CapacityTest, Deployment, Question
from headrace.planning.machine import Machine
from headrace.planning.simulator import Course, simulate
from headrace.planning.static import Static
from headrace.planning.trace import Trace
from scaler.step_curve import StepCurve

CURVE = StepCurve(0.01, 0.001, 0.0001)
SLOTS, OVERHEAD_S = 32, 0.01
SLO = Slo(1.0, 0.15)
QUESTION = Question(32, 16, SLO, 0.99, 3.0, 16.0, 0.05, (0.4, 0.65, 0.9), 2, 0)


class SimulatedDeployment:
    """`workers` in its fleet; a step takes `slowness` times what its sums tell.

    At rates `slow_below` this one its steps take twice as long, and tell it.
    """

    def __init__(
        self,
        workers: int = 1,
        slowness: float = 1.0,
        seen: int | None = None,
        slow_below: float = 0.0,
    ) -> None:
        self.workers, self.slowness = workers, slowness
        self.slow_below, self.pace = slow_below, 1.0
        self.slo = SLO
        self.seen = workers if seen is None else seen
        self.rates: list[float] = []

    async def measure(self, loads: Sequence[Load], seconds: float) -> Sequence[Result]:
        return [self._measure(load, seconds) for load in loads]

    def _measure(self, load: Load, seconds: float) -> Result:
        is_slow = isinstance(load, OpenLoad) and load.rate < self.slow_below
        self.pace = 2.0 if is_slow else 1.0
        if isinstance(load, ClosedLoad):
            records = self._users(load, seconds)
        else:
            self.rates.append(load.rate)  # type: ignore[union-attr]
            end = QUESTION.warmup_s + seconds
            at = [each.offset_s for each in _until(load.schedule(), end)]
            records = self._serve(at, QUESTION.warmup_s)
        start = QUESTION.warmup_s
        return self._result(load, records, start, start + seconds)

    def _users(self, load: ClosedLoad, seconds: float) -> list[Record]:
        """All together, again and again."""
        curve = self._machine.curve
        rows = load.concurrency / self.workers
        prompts_s = curve.gamma * rows * load.prompt_tokens
        round_s = load.max_tokens * curve.seconds(rows, 0) + prompts_s + OVERHEAD_S
        rounds = 1 + int((QUESTION.warmup_s + seconds) / round_s)
        at = [number * round_s for number in range(rounds) for _user in range(load.concurrency)]
        return [_record(moment, round_s, moment >= QUESTION.warmup_s) for moment in at]

    def _serve(self, at: Sequence[float], begin: float) -> list[Record]:
        trace = Trace(at, [32.0] * len(at), [16.0] * len(at), at[-1] + 1000)
        bounds = (self.workers, self.workers)
        course = Course(self._machine, lambda _number: 0.0, self.workers, bounds)
        ends = simulate(trace, Static(self.workers), course).ends
        return [
            _record(moment, end - moment + OVERHEAD_S, moment >= begin)
            for moment, end in zip(at, ends, strict=True)
        ]

    @property
    def _machine(self) -> Machine:
        slow = self.slowness * self.pace
        curve = StepCurve(CURVE.alpha * slow, CURVE.beta * slow, CURVE.gamma * slow)
        return Machine(curve, SLOTS)

    def _result(self, load: Load, records: list[Record], start: float, end: float) -> Result:
        in_flight = InFlight()
        for record in records:
            in_flight.begin(record.scheduled)
            in_flight.end(record.done or 0.0)
        last = max(record.scheduled for record in records)
        measured = Measurement(load, start, end, last, records, in_flight, [0.001], 0.0, False)
        judged = judge(measured, [self.slo], seed=0, increase=None, unsure=0, notes=[])
        moments = [Moment(start, 0, 0, self.seen, 0)]
        return replace(judged, watched=Watched(moments, _steps(self.pace), SLOTS))


def capacity(deployment: SimulatedDeployment, **changes: Any) -> Capacity:
    described = Deployment(deployment.workers, SLOTS, 4.0)
    question = replace(QUESTION, **changes)
    deployment.slo = question.slo
    return asyncio.run(CapacityTest(question, described, deployment.measure).run())


def _steps(pace: float) -> StepSums:
    total = StepSums()
    for number in range(200):
        rows, prompt = 1 + number % SLOTS, 32 * (number % 3)
        seconds = pace * CURVE.seconds(rows, prompt)
        each = (rows * rows, rows * prompt, prompt * prompt, rows * seconds, prompt * seconds)
        total = total.plus(StepSums(1, rows, prompt, seconds, *each))
    return total


def _record(at: float, e2e_s: float, measured: bool) -> Record:
    return Record(
        scheduled=at,
        measured=measured,
        sent=at,
        first_token=at + 0.02,
        last_token=at + e2e_s,
        done=at + e2e_s,
        status=200,
        input_tokens=32,
        output_tokens=16,
        server=ServerTimes(OVERHEAD_S, {"queue_wait": 0.0, "decode": e2e_s - OVERHEAD_S}, 1.0),
    )


def _until(schedule: Any, end: float) -> list[Any]:
    found = []
    for each in schedule:
        if each.offset_s >= end:
            return found
        found.append(each)
    return found
