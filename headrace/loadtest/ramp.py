"""A load that rises within a level: from `start` to the load's own value, in a straight line."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Ramp:
    """Stays at `start` for `after_s`, the warm-up, then rises for `seconds`."""

    start: float
    after_s: float
    seconds: float

    def rate(self, end: float, at_s: float) -> float:
        """Of an open loop, `at_s` after its begin."""
        return self.start + (end - self.start) * self._share(at_s)

    def users(self, end: int, at_s: float) -> int:
        """Of a closed loop: each number of users lasts equally long."""
        first = int(self.start)
        return min(end, first + math.floor((end - first + 1) * self._share(at_s)))

    def joins_s(self, end: int, user: int) -> float:
        """When the user of this number, from 0, joins: s after the begin."""
        first = int(self.start)
        if user < first:
            return 0.0
        return self.after_s + self.seconds * (user - first + 1) / (end - first + 1)

    def mean_users(self, end: int, seconds: float) -> float:
        """The time average over the first `seconds` of the rise."""
        joined = (self.joins_s(end, user) - self.after_s for user in range(end))
        return sum(max(0.0, seconds - max(at_s, 0.0)) for at_s in joined) / seconds

    def arrival_s(self, end: float, number: float) -> float:
        """When as many requests have come, in the mean: s after the begin.

        Turns arrivals of rate 1 into those of the ramp (the integral's inverse, Çinlar 1975).
        """
        before = self.start * self.after_s
        if number <= before:
            return number / self.start
        rising = (self.start + end) / 2 * self.seconds
        if number - before > rising:
            return self.after_s + self.seconds + (number - before - rising) / end
        growth = (end - self.start) / self.seconds
        root = math.sqrt(self.start**2 + 2 * growth * (number - before))
        return self.after_s + (root - self.start) / growth

    def _share(self, at_s: float) -> float:
        return min(1.0, max(0.0, (at_s - self.after_s) / self.seconds))
