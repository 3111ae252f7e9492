"""How long a step takes, fitted on steps that were taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor

from headrace.core.step_sums import StepSums

LEAST_STEPS = 20
"""Minimum number of steps that a fit takes."""

VARIES = 1e-6
"""Rows or prompts whose variance is a smaller share of their square are all alike."""


@dataclass(frozen=True, slots=True)
class StepCurve:
    """Seconds of a step: `alpha` + `beta` * rows + `gamma` * prompt tokens; none is negative."""

    alpha: float
    beta: float
    gamma: float

    def seconds(self, rows: float, prompt_tokens: float) -> float:
        return self.alpha + self.beta * rows + self.gamma * prompt_tokens

    def total(self, steps: StepSums) -> float:
        """Seconds that these steps should have taken together."""
        return self.alpha * steps.n + self.beta * steps.r + self.gamma * steps.p

    def rows_within(self, seconds: float, prompts_a_row: float, slots: int) -> int:
        """The most rows, up to `slots`, whose step takes at most `seconds`; 0 where one takes more.

        `prompts_a_row`: prompt tokens that come with each output token.
        """
        left, row_s = seconds - self.alpha, self.beta + self.gamma * prompts_a_row
        if left < row_s:
            return 0
        return slots if row_s * slots <= left else floor(left / row_s)


def fit(sums: StepSums) -> StepCurve | None:
    """Least squares; None of too few steps.

    What does not vary or would come out negative is left out. Where neither rows nor prompts
    tell anything, a step takes its mean.
    """
    if sums.n < LEAST_STEPS or sums.s <= 0:
        return None
    return next(curves(sums))


def curves(sums: StepSums) -> Iterator[StepCurve]:
    """Yields the fits of any steps, the one that leaves out least first; the last is the mean."""
    for curve in (_plane(sums), _by_rows(sums), _by_prompts(sums)):
        if curve is not None and min(curve.alpha, curve.beta, curve.gamma) >= 0:
            yield curve
    yield StepCurve(sums.s / sums.n, 0.0, 0.0)


def _plane(sums: StepSums) -> StepCurve | None:
    n = sums.n
    rows, prompts = sums.rr - sums.r**2 / n, sums.pp - sums.p**2 / n
    both = sums.rp - sums.r * sums.p / n
    rows_s, prompts_s = sums.rs - sums.r * sums.s / n, sums.ps - sums.p * sums.s / n
    determinant = rows * prompts - both**2
    if not _varies(rows, sums.rr) or determinant <= VARIES * abs(rows * prompts):
        return None
    beta = (prompts * rows_s - both * prompts_s) / determinant
    gamma = (rows * prompts_s - both * rows_s) / determinant
    return StepCurve((sums.s - beta * sums.r - gamma * sums.p) / n, beta, gamma)


def _by_rows(sums: StepSums) -> StepCurve | None:
    variance = sums.rr - sums.r**2 / sums.n
    if not _varies(variance, sums.rr):
        return None
    beta = (sums.rs - sums.r * sums.s / sums.n) / variance
    return StepCurve((sums.s - beta * sums.r) / sums.n, beta, 0.0)


def _by_prompts(sums: StepSums) -> StepCurve | None:
    variance = sums.pp - sums.p**2 / sums.n
    if not _varies(variance, sums.pp):
        return None
    gamma = (sums.ps - sums.p * sums.s / sums.n) / variance
    return StepCurve((sums.s - gamma * sums.p) / sums.n, 0.0, gamma)


def _varies(variance: float, squares: float) -> bool:
    return variance > VARIES * squares
