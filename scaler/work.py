"""What a worker gets done, learned from steps that were taken and jobs that ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp

from headrace.core.step_sums import StepSums
from scaler.readings import Readings
from scaler.rules import Rules
from scaler.start_values import StartValues
from scaler.step_curve import StepCurve, fit

LEAST_JOBS = 5.0

LEAST_SHARE = 0.25
"""Of what full slots do. With fewer rows so little time is gained that the steps themselves are too
slow: four times the workers would be no cure, and 3 % in a fit would decide between 1 and 16.
"""


@dataclass(frozen=True, slots=True)
class Speed:
    """`tokens_per_s` of a worker with `rows` are tokens as jobs count for: `charged_tokens`.

    `slo_infeasible`: even one row takes longer than `slo_tpot_s`, or those that do not would make
    less than `LEAST_SHARE` of what full slots make; then the speed is that of full slots.
    """

    rows: int
    tokens_per_s: float
    slo_infeasible: bool


@dataclass(frozen=True, slots=True)
class Work:
    """Sums over the recent past, which fade with `steps_s` while there are steps.

    `jobs` ended, with `tokens` in all and `outputs` among them; `started` got a slot.
    """

    steps: StepSums = field(default_factory=StepSums)
    jobs: float = 0.0
    tokens: float = 0.0
    outputs: float = 0.0
    started: float = 0.0

    def after(self, before: Readings, now: Readings, rules: Rules) -> Work:
        steps = now.steps.minus(before.steps)
        ended = now.completed.jobs - before.completed.jobs
        if steps.n <= 0 and ended <= 0:
            return self
        share = exp(-(now.at - before.at) / rules.steps_s)
        return Work(
            self.steps.times(share).plus(steps),
            share * self.jobs + ended,
            share * self.tokens + now.completed.tokens - before.completed.tokens,
            share * self.outputs + now.produced - before.produced,
            share * self.started + max(0, ended + now.running.jobs - before.running.jobs),
        )

    def speed(self, rules: Rules) -> Speed | None:
        """As long as too little was seen that of the start values, None without those."""
        curve = fit(self.steps)
        outputs = self.outputs or self.steps.r
        if curve is None or self.jobs < LEAST_JOBS or self.tokens <= 0 or outputs <= 0:
            return None if rules.start is None else speed_at_start(rules, rules.start)
        return _speed(rules, curve, self.tokens / outputs, self._prompts_an_output())

    def _prompts_an_output(self) -> float:
        """Prompt tokens that come with each output token.

        Steps tell the prompts of jobs that begin, and endings the outputs: while many begin, as on
        new workers, the prompts of steps over the outputs of the same steps would be far too many.
        """
        if self.started <= 0 or self.jobs <= 0 or self.outputs <= 0:
            return self.steps.p / self.steps.r if self.steps.r > 0 else 0.0
        return (self.steps.p / self.started) / (self.outputs / self.jobs)


def speed_at_start(rules: Rules, start: StartValues) -> Speed:
    tokens = (start.prompt_tokens + start.allowed_tokens) / start.output_tokens
    return _speed(rules, start.curve, tokens, start.prompt_tokens / start.output_tokens)


def _speed(rules: Rules, curve: StepCurve, tokens_an_output: float, prompts: float) -> Speed:
    """`prompts`: tokens of prompts that come with each output token."""
    slots = rules.slots
    rows = curve.rows_within(rules.slo_tpot_s, prompts, slots)
    at_slots, at_rows = (full / curve.seconds(full, full * prompts) for full in (slots, rows or 1))
    if rows == 0 or at_rows < LEAST_SHARE * at_slots:
        return Speed(slots, at_slots * tokens_an_output, slo_infeasible=True)
    return Speed(rows, at_rows * tokens_an_output, slo_infeasible=False)
