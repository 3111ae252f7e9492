"""The machine that is simulated: how long a step of a worker takes, and how many share one."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.core.step_sums import StepSums
from scaler.step_curve import StepCurve


@dataclass(frozen=True)
class Machine:
    curve: StepCurve
    slots: int

    def slower(self, pace: float) -> Machine:
        """One whose steps take `pace` times as long."""
        curve = self.curve
        slower = StepCurve(pace * curve.alpha, pace * curve.beta, pace * curve.gamma)
        return Machine(slower, self.slots)

    def pace(self, steps: StepSums) -> float:
        """How long these steps took, as a multiple of what they should have; 1 of none."""
        should_s = self.curve.total(steps)
        return steps.s / should_s if should_s > 0 else 1.0

    def alone_s(self, prompt: float, output: float) -> float:
        """What a request takes that has a worker to itself."""
        return self.curve.gamma * prompt + output * self.curve.seconds(1, 0)

    def jobs_per_s(self, prompt: float, output: float) -> float:
        """Of a worker with full slots."""
        row_s = output * self.curve.seconds(self.slots, 0) / self.slots
        return 1 / (row_s + self.curve.gamma * prompt)
