"""The universal scalability law: what more requests at once bring, and what they cost each other.

    X(N) = rate * N / (1 + contention * (N - 1) + coherence * N * (N - 1))

(Gunther 2007.) N / X(N) is a plane over N - 1 and N (N - 1), fitted as step curves are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from headrace.core.errors import InvalidRequest
from headrace.core.step_sums import StepSums
from scaler.step_curve import curves

LEAST_SHARE = 1e-3
"""Smallest time alone, as a share of the mean, that counts: less is rounding and means no rate."""

Point = tuple[float, float]
"""Requests at once, and the throughput with so many."""


@dataclass(frozen=True)
class Usl:
    """`rate` is the throughput of one request at a time."""

    rate: float
    contention: float
    coherence: float

    def throughput(self, requests: float) -> float:
        others = requests - 1
        crowd = 1 + self.contention * others + self.coherence * requests * others
        return self.rate * requests / crowd

    def most(self, slots: int) -> float:
        """The highest throughput with at most so many at once."""
        return max(self.throughput(requests) for requests in range(1, slots + 1))

    def misfit(self, points: Sequence[Point]) -> float:
        """The sum of squares of relative errors of the time a request."""
        return sum((x / self.throughput(requests) - 1) ** 2 for requests, x in points)

    def error(self, points: Sequence[Point]) -> float:
        """The largest relative error on these points."""
        return max(abs(self.throughput(requests) / x - 1) for requests, x in points)


def fit_usl(points: Sequence[Point]) -> Usl:
    """Least squares of relative errors; of one point, that requests cost each other nothing.

    Raises `InvalidRequest` for none, or one without throughput.
    """
    if not points or not all(0 < x < inf for _requests, x in points):
        raise InvalidRequest("a law of throughput needs levels at which requests succeeded")
    highest = max(x / requests for requests, x in points)
    sums = StepSums()
    for requests, x in points:
        share = x / requests / highest  # squares of the rates themselves could leave floats' range
        each = _sums(requests - 1, requests * (requests - 1), 1 / share)
        sums = sums.plus(each.times(share**2))
    least = LEAST_SHARE * sums.s / sums.n
    laws = [
        Usl(highest / plane.alpha, plane.beta / plane.alpha, plane.gamma / plane.alpha)
        for plane in curves(sums)
        if plane.alpha >= least
    ]
    return min(laws, key=lambda law: law.misfit(points))


def _sums(r: float, p: float, s: float) -> StepSums:
    return StepSums(1, r, p, s, r * r, r * p, p * p, r * s, p * s)
