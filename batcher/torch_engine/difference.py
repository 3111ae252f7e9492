"""How far two answers of one model are apart, and how far they may be."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

FINE = 1e-3
"""The most in fp32, of the spread of the logits. Right models stay below 2e-6."""

COARSE = 0.2
"""The most in coarser numbers, as root mean square, of the logits' standard deviation.

Right models stay below 0.06 in bf16, with 30 layers that are fused; wrong ones began at 0.6.
"""

TOP = 8
"""Another token may be the best where it was worse by this many times the mean difference."""

_LEAST = 1e-30
"""Keeps a model that finds all tokens equal from being divided by zero."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Differences between two rows of logits of one token.

    `largest` is a share of their spread, `mean` (as root mean square) of their standard deviation.
    `lead` is how much worse than the best, in that deviation, the other answer's best token was.
    """

    largest: float
    mean: float
    lead: float
    is_fine: bool

    @classmethod
    def between(cls, ours: Tensor, expected: Tensor, is_fine: bool) -> Difference:
        """Both [vocabulary]; `is_fine` where the model computes in fp32."""
        known = expected.isfinite()  # some models rule ids out
        logits = expected[known].double()
        apart = ours[known].double() - logits
        lead = logits.max() - expected[ours.argmax()].double()
        spread = (logits.max() - logits.min()).clamp(min=_LEAST)
        deviation = logits.std(correction=0).clamp(min=_LEAST)
        return cls(
            largest=(apart.abs().max() / spread).item(),
            mean=(apart.std(correction=0) / deviation).item(),
            lead=(lead / deviation).item(),
            is_fine=is_fine,
        )

    @property
    def is_small(self) -> bool:
        """False for what is not a number, too."""
        if self.is_fine:
            return self.largest <= FINE
        return self.mean <= COARSE and self.lead <= max(TOP * self.mean, COARSE)

    def __str__(self) -> str:
        return (
            f"logits differ by {self.mean:.2g} standard deviations, and by"
            f" {self.largest:.1%} of their spread at most"
        )
